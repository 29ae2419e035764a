/* How often which values have come, in powers of two: bucket n holds 2^n <= value < 2^(n+1). */
struct histogram {
	u64 total;
	u64 most;
	u64 least; /* inverted, so that 0 is none yet */
	u64 buckets[64];
};

static inline void add(struct histogram *histogram, u64 value)
{
	u32 bucket = bpf_log2l(value | 1) - 1;

	if (bucket < 64)
		__sync_fetch_and_add(&histogram->buckets[bucket], 1);
	__sync_fetch_and_add(&histogram->total, value);
	/* no program of this CPU may write between the look and the write, but one could: trace/
	 * histogram.py checks both against the buckets */
	if (value > histogram->most)
		histogram->most = value;
	if (~value > histogram->least)
		histogram->least = ~value;
}
