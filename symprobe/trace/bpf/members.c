/* Only members are traced: the processes that were named, and their descendants with FOLLOW.
 * A member is PENDING until its exec when it is the command that we are about to start. */
#define PENDING 1
#define ACTIVE 2

BPF_HASH(members, u32, u8, MOST_MEMBERS);

#ifdef OTHER_NAMESPACE
/* Named processes wait here under their number in our namespace; they become members, under the
 * kernel's number, the first time that they are seen. */
BPF_HASH(roots, u32, u8, MOST_MEMBERS);

static inline u8 *state_of(u32 tgid)
{
	u8 *state = members.lookup(&tgid);
	if (state)
		return state;
	u32 ours = our_tgid();
	u8 *root = ours ? roots.lookup(&ours) : 0;
	if (!root)
		return 0;
	u8 first = *root;
	members.update(&tgid, &first);
	roots.delete(&ours);
	return members.lookup(&tgid);
}
#else
static inline u8 *state_of(u32 tgid)
{
	return members.lookup(&tgid);
}
#endif

static inline int traced(void)
{
	u8 *state = state_of(bpf_get_current_pid_tgid() >> 32);
	return state && *state == ACTIVE;
}

#ifdef FOLLOW
BPF_ARRAY(members_lost, u64, 1);

/* sched_process_fork(parent, child): the child exists and has not run yet. */
int on_fork(struct bpf_raw_tracepoint_args *ctx)
{
	u32 parent = bpf_get_current_pid_tgid() >> 32;
	u8 *state = state_of(parent);
	if (!state)
		return 0;
	u8 inherited = *state;
	u32 child = 0;
	bpf_probe_read_kernel(&child, sizeof(child), (void *)(ctx->args[1] + TASK_TGID));
	if (child == parent) /* a thread */
		return 0;
	if (members.update(&child, &inherited)) {
		int only = 0;
		u64 *lost = members_lost.lookup(&only);
		if (lost)
			__sync_fetch_and_add(lost, 1);
	}
	return 0;
}

/* sched_process_exec(task, old_pid, binprm): the new program has not run yet. */
int on_exec(struct bpf_raw_tracepoint_args *ctx)
{
	u8 *state = state_of(bpf_get_current_pid_tgid() >> 32);
	if (state)
		*state = ACTIVE;
	return 0;
}

/* sched_process_exit(task): once no thread is left the number may go to a stranger. */
int on_exit(struct bpf_raw_tracepoint_args *ctx)
{
	u32 tgid = bpf_get_current_pid_tgid() >> 32;
	if (!state_of(tgid))
		return 0;
	u64 signal = 0;
	u32 alive = 1;
	bpf_probe_read_kernel(&signal, sizeof(signal), (void *)(ctx->args[0] + TASK_SIGNAL));
	bpf_probe_read_kernel(&alive, sizeof(alive), (void *)(signal + SIGNAL_LIVE));
	if (!alive)
		members.delete(&tgid);
	return 0;
}
#endif
