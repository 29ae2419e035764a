/* Our namespace is the kernel's first: its numbers are ours. */
#define SHOWN_TGID (u32)(bpf_get_current_pid_tgid() >> 32)
#define SHOWN_TID (u32) bpf_get_current_pid_tgid()
