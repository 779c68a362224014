// SPDX-License-Identifier: GPL-2.0-or-later
/* replay DIRECTORY...: run the fuzz target on every file in them. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"

static int run(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	struct stat st;
	uint8_t *data;

	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	/* exactly so many bytes, so that ASan sees one too many */
	data = malloc((size_t)st.st_size + !st.st_size);
	if (!data || read(fd, data, (size_t)st.st_size) != st.st_size) {
		perror(name);
		exit(EXIT_FAILURE);
	}
	close(fd);
	LLVMFuzzerTestOneInput(data, (size_t)st.st_size);
	free(data);
	return 1;
}

static int run_all(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *e;
	int n = 0;

	if (!dir) {
		perror(path);
		exit(2);
	}
	while ((e = readdir(dir)))
		n += run(dirfd(dir), e->d_name);
	closedir(dir);
	return n;
}

int main(int argc, char **argv)
{
	int n = 0;

	for (int i = 1; i < argc; i++)
		n += run_all(argv[i]);
	printf("%d inputs\n", n);
	return n ? EXIT_SUCCESS : EXIT_FAILURE;
}
