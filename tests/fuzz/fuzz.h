/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A fuzz target is one function. With -Dfuzz=true libFuzzer calls it; else replay.c does, with
 * each file of the corpus, so that what was once found stays fixed with any compiler.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#endif
