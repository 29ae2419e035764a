/* Call the code at an offset of a file: `run FILE OFFSET`. Writes to stdout whether the kernel
 * single-stepped an instruction of this process (1 or 0), and what the code left in the buffer.
 * To be linked statically: nobody else's probes are in it.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static char maps[1 << 16];
static unsigned char buffer[128] __attribute__((aligned(64)));

/* The code gets known registers, and %rdi is the buffer. What it leaves in registers follows. */
void call(void *code, void *buffer);
__asm__(".globl call\n"
	"call:\n"
	"	push %rbp\n"
	"	push %rbx\n"
	"	mov %rdi, %r9\n"
	"	mov %rsi, %rdi\n"
	"	mov %rsi, %rbx\n"
	"	movdqu (%rdi), %xmm0\n"
	"	movdqu 16(%rdi), %xmm1\n"
	"	movdqu 32(%rdi), %xmm2\n"
	"	mov $0x5555, %eax\n"
	"	mov $5, %ecx\n"
	"	mov $0x11, %edx\n"
	"	mov $0x7777, %r8d\n"
	"	call *%r9\n"
	"	movdqu %xmm0, 16(%rbx)\n"
	"	movdqu %xmm2, 32(%rbx)\n"
	"	mov %rax, 48(%rbx)\n"
	"	mov %rcx, 56(%rbx)\n"
	"	mov %r8, 64(%rbx)\n"
	"	pop %rbx\n"
	"	pop %rbp\n"
	"	ret\n");

int main(int argc, char **argv)
{
	struct stat status;
	int file = open(argv[1], O_RDONLY);
	ssize_t got, length = 0;
	char *start;

	if (argc != 3 || file < 0 || fstat(file, &status))
		return 1;
	start = mmap(0, status.st_size, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
	if (start == MAP_FAILED)
		return 1;
	for (int i = 0; i < 48; i++)
		buffer[i] = i + 1;
	call(start + atol(argv[2]), buffer);

	file = open("/proc/self/maps", O_RDONLY);
	while ((got = read(file, maps + length, sizeof(maps) - 1 - length)) > 0)
		length += got;
	if (write(1, strstr(maps, "[uprobes]") ? "1" : "0", 1) != 1)
		return 1;
	return write(1, buffer, sizeof(buffer)) != sizeof(buffer);
}
