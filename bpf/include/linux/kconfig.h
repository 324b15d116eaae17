/* BCC includes this first. The kernel was built with BPF, or nothing of this would run. */
#define CONFIG_BPF_SYSCALL 1
