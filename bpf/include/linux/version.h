/* BCC wants a version; nothing here depends on it, and kernels since 5.0 ignore it. */
#define LINUX_VERSION_CODE 394752
#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + ((c) > 255 ? 255 : (c)))
#define PAGE_SIZE 4096
