// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "cmd.h"

static void set_flag(const struct cmd *cmd, const char *option, bool on)
{
	for (size_t i = 0; option && i < cmd->n_rows; i++)
		if (cmd->rows[i].kind == OPT_FLAG && !strcmp(cmd->rows[i].name, option))
			*(bool *)((char *)cmd->opts + cmd->rows[i].offset) = on;
}

int cmd_rows(const struct cmd *cmd, const char *option, struct cmd_run *run,
	     const struct out_sink *sink)
{
	struct input_opts input = *run->input_opts;
	struct cmd_run own = {.path = run->path, .input_opts = &input, .fail = run->fail};
	int rc;

	input.local_ports = cmd->local_ports;
	own.out = out_new_sink(sink);
	if (!own.out)
		return fail_nomem(run->fail);
	rc = input_open(&own.in, run->path, &input, own.out, run->fail);
	if (!rc) {
		set_flag(cmd, option, true);
		rc = cmd->run(&own);
		set_flag(cmd, option, false);
		if (!rc)
			rc = input_finish(own.in, cmd->group, run->fail);
		input_close(own.in);
	}
	out_free(own.out);
	return rc;
}
