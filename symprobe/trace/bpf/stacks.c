/* By which stacks of callers a function is reached. The kernel walks frame pointers, which code
 * may lack; but the return address that the function finds is always its caller's. */
struct stack_key {
	u64 caller;
	u32 slot;
	u32 tgid;
	s32 stack; /* negative: the kernel had none */
	u32 unused;
};
BPF_STACK_TRACE(stacks, MOST_STACKS);
BPF_HASH(stack_calls, struct stack_key, u64, MOST_STACKS);
BPF_PERCPU_ARRAY(stacks_lost, u64, 1);

static inline void entered(struct pt_regs *ctx, u32 slot)
{
	struct stack_key key = {.slot = slot};
	u64 zero = 0;
	u32 only = 0;

	key.tgid = SHOWN_TGID;
	key.stack = stacks.get_stackid(ctx, BPF_F_USER_STACK);
#if defined(__x86_64__)
	key.caller = on_stack(ctx, 0, IS_32_BIT(ctx) ? 4 : 8);
#else
	key.caller = ctx->regs[30];
#endif
	u64 *cell = stack_calls.lookup_or_try_init(&key, &zero);
	if (!cell)
		cell = stacks_lost.lookup(&only);
	if (cell)
		__sync_fetch_and_add(cell, 1);
}
