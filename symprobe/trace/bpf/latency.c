/* The time from entry to return. */
BPF_PERCPU_ARRAY(latencies, struct histogram, TARGETS);
#ifdef BY_KEY
BPF_F_TABLE("percpu_hash", struct group, struct histogram, latency_groups, MOST_GROUPS, 1);
BPF_ARRAY(no_latency, struct histogram, 1);
#endif

struct call {
	u64 when;
};

static inline void entered(struct pt_regs *ctx, u32 slot, struct call *call)
{
}

static inline void left(struct pt_regs *ctx, u32 slot, struct call *call, u64 now)
{
	struct histogram *histogram = 0;

#ifdef BY_KEY
	struct group group = {.slot = slot};
	u32 only = 0;
	struct histogram *blank = no_latency.lookup(&only);

	BY_FILL;
	if (blank)
		histogram = latency_groups.lookup_or_try_init(&group, blank);
#endif
	if (!histogram)
		histogram = latencies.lookup(&slot);
	if (histogram)
		add(histogram, now - call->when);
}
