#ifndef SYMPROBE_LINUX_PTRACE_H
#define SYMPROBE_LINUX_PTRACE_H
/* The registers that a probe's program is handed, in the order in which the kernel stores them
 * (ptrace(2), psABI): BCC's PT_REGS_PARM1 and the like name these members. */
#if defined(__x86_64__)
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx;
	unsigned long r11, r10, r9, r8, ax, cx, dx, si, di;
	unsigned long orig_ax, ip, cs, flags, sp, ss;
};
#elif defined(__aarch64__)
struct pt_regs {
	unsigned long regs[31];
	unsigned long sp, pc, pstate;
};
#else
#error "symprobe traces on x86-64 and aarch64"
#endif
#endif
