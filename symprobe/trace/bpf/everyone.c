/* Every process is traced, except ours when SELF is its number. */
#ifdef OTHER_NAMESPACE
#define THIS_PROCESS our_tgid()
#else
#define THIS_PROCESS (bpf_get_current_pid_tgid() >> 32)
#endif

static inline int traced(void)
{
#ifdef SELF
	return THIS_PROCESS != SELF;
#else
	return 1;
#endif
}
