/* Map a file executable, say so on stdout, and wait for the end of stdin. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct stat status;
	int file = open(argv[argc - 1], O_RDONLY);
	char byte;

	if (file < 0 || fstat(file, &status))
		return 1;
	if (mmap(0, status.st_size, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0) == MAP_FAILED)
		return 1;
	if (write(1, "m", 1) != 1)
		return 1;
	while (read(0, &byte, 1) > 0)
		;
	return 0;
}
