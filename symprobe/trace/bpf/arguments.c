/* Arguments and results of functions as the psABI passes integers and pointers. */
#if defined(__x86_64__)
#define USER_CODE_32 0x23 /* __USER32_CS: arch/x86/include/asm/segment.h */
#define IS_32_BIT(ctx) ((ctx)->cs == USER_CODE_32)

static inline u64 on_stack(struct pt_regs *ctx, u32 distance, u32 size)
{
	u64 value = 0;

	if (size == 4)
		bpf_probe_read_user(&value, 4, (void *)(ctx->sp + distance));
	else
		bpf_probe_read_user(&value, 8, (void *)(ctx->sp + distance));
	return value;
}

static inline u64 argument(struct pt_regs *ctx, u32 n)
{
	if (IS_32_BIT(ctx))
		return on_stack(ctx, 4 + 4 * n, 4);
	switch (n) {
	case 0:
		return ctx->di;
	case 1:
		return ctx->si;
	case 2:
		return ctx->dx;
	case 3:
		return ctx->cx;
	case 4:
		return ctx->r8;
	case 5:
		return ctx->r9;
	}
	return on_stack(ctx, 8 + 8 * (n - 6), 8);
}

/* A double takes two words of an i386 stack. */
static inline u64 wide_argument(struct pt_regs *ctx, u32 n)
{
	return IS_32_BIT(ctx) ? on_stack(ctx, 4 + 4 * n, 8) : argument(ctx, n);
}

static inline u64 result(struct pt_regs *ctx)
{
	return ctx->ax;
}
#elif defined(__aarch64__)
#define IS_32_BIT(ctx) 0

static inline u64 argument(struct pt_regs *ctx, u32 n)
{
	u64 value = 0;

	if (n < 8)
		return ctx->regs[n & 7];
	bpf_probe_read_user(&value, 8, (void *)(ctx->sp + 8 * (n - 8)));
	return value;
}
#define wide_argument argument

static inline u64 result(struct pt_regs *ctx)
{
	return ctx->regs[0];
}
#endif

/* Of a number whose type nobody knows: what fills only the lower half is an int. */
static inline s64 likely(u64 value)
{
	return value >> 32 ? (s64)value : (s64)(s32)value;
}

/* Whether the thread's name is this one, given as its 16 bytes. */
static inline int comm_is(u64 first, u64 second)
{
	u64 comm[2] = {};

	bpf_get_current_comm(&comm, sizeof(comm));
	return comm[0] == first && comm[1] == second;
}

/* Reading what the program itself has not touched yet takes a page fault: a sleepable program may
 * have one, by helper 148, kernel 5.10: bpf_copy_from_user(to, size, from). */
#ifdef SLEEPABLE
static inline void touch(u64 address)
{
	long (*copy_from_user)(void *, u32, void *) = (void *)148;
	char byte;

	copy_from_user(&byte, 1, (void *)address);
}
#define WITH_PAGES(length, size, address, read) \
	length = read; \
	if (length < 0) { \
		touch(address); \
		touch((address) + (size) - 1); \
		length = read; \
	}
#else
#define WITH_PAGES(length, size, address, read) length = read;
#endif
