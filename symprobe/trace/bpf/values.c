/* How often which values have come. */
struct value_key {
	u32 slot;
	u32 unread; /* of a text: 1 it is NULL, 2 nothing can be read there */
	VALUE_MEMBER;
};
BPF_HASH(values, struct value_key, u64, MOST_VALUES);
BPF_PERCPU_ARRAY(values_lost, u64, 1);

static inline void tally(struct value_key *key)
{
	u64 zero = 0, *cell = values.lookup_or_try_init(key, &zero);
	u32 only = 0;

	if (!cell) /* the table is full */
		cell = values_lost.lookup(&only);
	if (cell)
		__sync_fetch_and_add(cell, 1);
}

#ifdef RETURNS
struct call {
	u64 when;
#ifdef CARRY
	struct value_key key;
#endif
};

#ifdef CARRY
static inline void entered(struct pt_regs *ctx, u32 slot, struct call *call)
{
#ifdef VALUE_AT_ENTRY
	struct value_key *key = &call->key;

	key->slot = slot;
	VALUE_FILL;
#endif
}
#endif

static inline void left(struct pt_regs *ctx, u32 slot, struct call *call, u64 now)
{
#ifdef VALUE_AT_ENTRY
	struct value_key copy = call->key;

	tally(&copy);
#else
	struct value_key filled = {.slot = slot};
	struct value_key *key = &filled;

	VALUE_FILL;
	tally(key);
#endif
}
#else
static inline void entered(struct pt_regs *ctx, u32 slot)
{
	struct value_key filled = {.slot = slot};
	struct value_key *key = &filled;

	VALUE_FILL;
	tally(key);
}
#endif
