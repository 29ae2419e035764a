/* The time from a call of one function to a call of another, in a process or in a thread. */
struct span_key {
	SPAN_MEMBER;
};
struct open_span {
	u64 when;
	struct span_key key;
};
BPF_HASH(open_spans, u32, struct open_span, MOST_OPEN_SPANS);
BPF_F_TABLE("percpu_hash", struct span_key, struct histogram, spans, MOST_GROUPS, 1);
BPF_HASH(unclosed_spans, struct span_key, u64, MOST_GROUPS);
BPF_ARRAY(no_span, struct histogram, 1);
BPF_PERCPU_ARRAY(spans_lost, u64, 1);

static inline void lose_span(void)
{
	u32 only = 0;
	u64 *lost = spans_lost.lookup(&only);

	if (lost)
		__sync_fetch_and_add(lost, 1);
}

static inline void close_span(struct open_span *span, u64 now)
{
	struct span_key filled = {};
	struct span_key *key = &filled;
	u32 only = 0;
	struct histogram *blank = no_span.lookup(&only);

	SPAN_FILL;
	if (!blank)
		return;
	struct histogram *histogram = spans.lookup_or_try_init(key, blank);
	if (histogram)
		add(histogram, now - span->when);
	else
		lose_span();
}

/* It will never be closed: begun anew, or its process has ended otherwise. */
static inline void give_up(struct open_span *span)
{
	struct span_key key = span->key;
	u64 zero = 0, *cell = unclosed_spans.lookup_or_try_init(&key, &zero);

	if (cell)
		__sync_fetch_and_add(cell, 1);
	else
		lose_span();
}

static inline void entered(struct pt_regs *ctx, u32 slot)
{
	u64 now = bpf_ktime_get_ns();
	u32 who = SPAN_WHO;
	struct open_span *span = open_spans.lookup(&who);

	if (slot >= FIRST_END && span) {
		close_span(span, now);
		open_spans.delete(&who);
		span = 0;
	}
	if (slot < STARTS) {
		struct open_span begun = {.when = now};
		struct span_key *key = &begun.key;

		if (span)
			give_up(span);
		SPAN_FILL;
		if (open_spans.update(&who, &begun))
			lose_span();
	}
}

#ifdef SIGNAL_LIVE
/* sched_process_exit(task): so that the number of a process that was killed is free for another. */
int on_span_exit(struct bpf_raw_tracepoint_args *ctx)
{
	u32 who = SPAN_WHO;
	struct open_span *span = open_spans.lookup(&who);

	if (!span)
		return 0;
#ifdef SPAN_OF_PROCESS
	u64 signal = 0;
	u32 alive = 1;
	bpf_probe_read_kernel(&signal, sizeof(signal), (void *)(ctx->args[0] + TASK_SIGNAL));
	bpf_probe_read_kernel(&alive, sizeof(alive), (void *)(signal + SIGNAL_LIVE));
	if (alive)
		return 0;
#endif
	give_up(span);
	open_spans.delete(&who);
	return 0;
}
#endif
