/* A record for each call. */
struct event {
	u64 time;
	u64 begun; /* 0: at the entry */
	u32 slot;
	u32 tgid;
	u32 tid;
	u32 unused;
	char comm[16];
	EVENT_MEMBERS
};
BPF_RINGBUF_OUTPUT(events, EVENT_PAGES);
BPF_PERCPU_ARRAY(events_lost, u64, 1);

static inline struct event *new_event(u32 slot, u64 now)
{
	struct event *event = events.ringbuf_reserve(sizeof(struct event));

	if (!event) {
		u32 only = 0;
		u64 *lost = events_lost.lookup(&only);
		if (lost)
			__sync_fetch_and_add(lost, 1);
		return 0;
	}
	event->time = now;
	event->begun = 0;
	event->slot = slot;
	event->tgid = SHOWN_TGID;
	event->tid = SHOWN_TID;
	event->unused = 0;
	bpf_get_current_comm(&event->comm, sizeof(event->comm));
	return event;
}

#ifdef RETURNS
struct call {
	u64 when;
	CALL_MEMBERS
};

#ifdef CARRY
static inline void entered(struct pt_regs *ctx, u32 slot, struct call *call)
{
	struct call *into = call;

	FILL_AT_ENTRY
}
#endif

static inline void left(struct pt_regs *ctx, u32 slot, struct call *call, u64 now)
{
	struct event *into = new_event(slot, now);

	if (!into)
		return;
	into->begun = call->when;
	COPY_FROM_CALL
	FILL_AT_RETURN
	events.ringbuf_submit(into, 0);
}
#else
static inline void entered(struct pt_regs *ctx, u32 slot)
{
	struct event *into = new_event(slot, bpf_ktime_get_ns());

	if (!into)
		return;
	FILL_AT_ENTRY
	events.ringbuf_submit(into, 0);
}
#endif
