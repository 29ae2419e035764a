/* Functions as a compiler makes them, each of which counts its own calls; main says how often.
 * Compiled with many options: with endbr64, stack protector, profiling, room for patches, ...
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define KEEP __attribute__((noinline, noclone, used))

enum { NAMES = 12 };
static const char *const names[NAMES] = {
	"work_leaf", "work_calls", "work_loop", "work_recursive", "work_tail", "work_varargs",
	"work_array", "work_switch", "work_goto", "work_cold", "work_global", "work_many",
};
static long counts[NAMES];
static volatile int sink;
int work_flag = 1;

KEEP int work_leaf(int x)
{
	counts[0]++;
	return x * 3;
}

KEEP int work_calls(int x)
{
	counts[1]++;
	return work_leaf(x) + work_leaf(x + 1);
}

KEEP int work_loop(int x)
{
	int sum = 0;

	counts[2]++;
	do
		sum += sink;
	while (x-- > 0);
	return sum;
}

KEEP int work_recursive(int x)
{
	counts[3]++;
	return x <= 0 ? 0 : 1 + work_recursive(x - 1) + work_recursive(x - 2);
}

KEEP int work_tail(int x)
{
	counts[4]++;
	return x <= 0 ? sink : work_leaf(x);
}

KEEP int work_varargs(int x, ...)
{
	va_list list;
	int sum = 0;

	counts[5]++;
	va_start(list, x);
	while (x-- > 0)
		sum += va_arg(list, int);
	va_end(list);
	return sum;
}

KEEP int work_array(int x)
{
	char text[64];

	counts[6]++;
	memset(text, x, sizeof(text));
	return text[sink & 63];
}

KEEP int work_switch(int x)
{
	counts[7]++;
	for (;;) {
		switch (x) {
		case 0: return sink;
		case 1: x = 0; sink = 1; break;
		case 2: x = 1; sink = 5; break;
		case 3: x = 2; sink = 7; break;
		case 4: x = 3; sink = 2; break;
		default: x = 4; sink = 3; break;
		}
	}
}

KEEP int work_goto(int x)
{
	static void *const labels[] = {&&end, &&one, &&two};

	counts[8]++;
one:
	if (x > 2)
		goto *labels[x -= 2, 2];
	goto *labels[x > 1 ? x-- : 0];
two:
	x--;
	goto *labels[1];
end:
	return x;
}

__attribute__((cold, noinline)) static int rare(int x)
{
	return sink = x;
}

KEEP int work_cold(int x)
{
	counts[9]++;
	while (__builtin_expect(x > 3, 0))
		x -= rare(3);
	return x;
}

KEEP void work_global(void)
{
	if (work_flag)
		counts[10]++;
	else
		rare(1);
}

KEEP int work_many(int a, int b, int c, int d, int e, int f, int g, int h)
{
	counts[11]++;
	return a + b + c + d + e + f + g + h + work_leaf(h);
}

int main(void)
{
	for (int i = 0; i < 101; i++) {
		sink = work_calls(i) + work_loop(i % 7) + work_recursive(i % 6) + work_tail(i % 3);
		sink = work_varargs(i % 4, 1, 2, 3, 4) + work_array(i) + work_switch(i % 7);
		sink = work_goto(i % 5) + work_cold(i % 9) + work_many(1, 2, 3, 4, 5, 6, 7, i);
		work_global();
	}
	for (int i = 0; i < NAMES; i++)
		printf("%s %ld\n", names[i], counts[i]);
	return 0;
}
