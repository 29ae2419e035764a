/* A mode that looks at calls when they return: it defines `struct call`, entered() with CARRY,
 * and left(). A call is known again by its stack pointer, which recursion and longjmp(3) leave
 * right; with a session link the kernel keeps eight bytes a call for us, at less cost. */
BPF_PERCPU_ARRAY(returned, u64, TARGETS);
#ifdef WHERE_RETURN
BPF_PERCPU_ARRAY(begun, u64, TARGETS);
#endif

#ifdef CARRY
struct call_key {
	u64 stack;
	u32 tid;
	u32 slot;
};
BPF_HASH(open_calls, struct call_key, struct call, MOST_CALLS);
BPF_ARRAY(no_call, struct call, 1);
BPF_PERCPU_ARRAY(calls_lost, u64, 1);

static inline struct call_key call_key(struct pt_regs *ctx, u32 slot, int at_return)
{
	struct call_key key = {.slot = slot, .tid = bpf_get_current_pid_tgid()};

	key.stack = ctx->sp;
#if defined(__x86_64__)
	if (at_return) /* the return address has been taken from the stack */
		key.stack -= IS_32_BIT(ctx) ? 4 : 8;
#endif
	return key;
}

static inline struct call *open_call(struct pt_regs *ctx, u32 slot)
{
	struct call_key key = call_key(ctx, slot, 0);
	u32 only = 0;
	struct call *blank = no_call.lookup(&only);

	if (!blank)
		return 0;
	struct call *call = open_calls.lookup_or_try_init(&key, blank);
	if (!call) {
		u64 *lost = calls_lost.lookup(&only);
		if (lost)
			__sync_fetch_and_add(lost, 1);
	}
	return call;
}
#endif

static inline int hit(struct pt_regs *ctx, u32 slot)
{
	if (!traced())
		return 1;
	if (slot >= TARGETS) { /* tells that a file is loaded */
		count(slot);
		return 1;
	}
#ifdef WHERE_ENTRY
	if (!(WHERE_ENTRY))
		return 1;
#endif
#ifdef WHERE_RETURN
	u64 *cell = begun.lookup(&slot);
	if (cell)
		__sync_fetch_and_add(cell, 1);
#else
	count(slot);
#endif
#ifdef CARRY
	struct call *call = open_call(ctx, slot);
	if (!call)
		return 1;
	entered(ctx, slot, call);
	call->when = bpf_ktime_get_ns();
#else
	u64 *(*session_cookie)(void) = (void *)SESSION_COOKIE;
	*session_cookie() = bpf_ktime_get_ns();
#endif
	return 0;
}

static inline void back(struct pt_regs *ctx, u32 slot)
{
	u64 now = bpf_ktime_get_ns();
	u64 *cell = returned.lookup(&slot);
#ifdef CARRY
	struct call_key key = call_key(ctx, slot, 1);
	struct call *call = open_calls.lookup(&key);
	if (!call)
		return;
#else
	u64 *(*session_cookie)(void) = (void *)SESSION_COOKIE;
	struct call here = {.when = *session_cookie()};
	struct call *call = &here;
#endif
	if (cell)
		__sync_fetch_and_add(cell, 1);
#ifdef WHERE_RETURN
	if (WHERE_RETURN) {
		count(slot);
		left(ctx, slot, call, now);
	}
#else
	left(ctx, slot, call, now);
#endif
#ifdef CARRY
	open_calls.delete(&key);
#endif
}
