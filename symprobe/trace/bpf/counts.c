/* Calls of each target (slot), exact: one cell a CPU, added to in one instruction, because a
 * program may be preempted between reading and writing a cell. */
BPF_PERCPU_ARRAY(calls, u64, SLOTS);

#ifdef BY_KEY
struct group {
	u32 slot;
	BY_KEY;
};
BPF_TABLE("percpu_hash", struct group, u64, groups, MOST_GROUPS);
#endif

static inline void count(u32 slot)
{
	u64 *cell;

#ifdef BY_KEY
	struct group group = {.slot = slot};
	u64 zero = 0;

	BY_FILL;
	cell = groups.lookup_or_try_init(&group, &zero);
	if (!cell) /* the table is full: the call still counts, for no group */
		cell = calls.lookup(&slot);
#else
	cell = calls.lookup(&slot);
#endif
	if (cell)
		__sync_fetch_and_add(cell, 1);
}
