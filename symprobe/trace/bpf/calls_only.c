/* Nothing but the number of calls. */
#ifdef RETURNS
struct call {
	u64 when;
};

#ifdef CARRY
static inline void entered(struct pt_regs *ctx, u32 slot, struct call *call)
{
}
#endif

static inline void left(struct pt_regs *ctx, u32 slot, struct call *call, u64 now)
{
}
#else
static inline void entered(struct pt_regs *ctx, u32 slot)
{
}
#endif
