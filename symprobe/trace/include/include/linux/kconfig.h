/* BCC refuses to compile without these two; no other configuration matters to our programs. */
#define CONFIG_BPF_SYSCALL 1
#define CONFIG_CC_STACKPROTECTOR 1
