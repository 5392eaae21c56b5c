// A tiny PID 1 for tests of VMs without the agent. It loads /etc/podvisor/modules, opens the virtio port
// "podvisor.agent" and answers one line for each line:
//   echo TEXT           TEXT
//   head PATH           the first line of a file or disk, at most 64 bytes
//   pci DEVICE          the PCI path of /sys/block/DEVICE
//   mount TYPE SRC DIR  "ok"
//   late                loads /etc/podvisor/modules.late, "ok"
//   write PATH TEXT     "ok"
//   dirty MIB           writes so much memory and gives it back, "ok"
//   panic               never answers
// Errors are "error: TEXT".
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char* const kPortName = "podvisor.agent";

static int LoadModule(const char* path) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  const int result = (int)syscall(SYS_finit_module, fd, "", 0);
  const int error = errno;
  close(fd);
  errno = error;
  return result == 0 || error == EEXIST ? 0 : -1;
}

// 0 if all of a list's modules are there.
static int LoadModules(const char* path) {
  FILE* list = fopen(path, "re");
  char line[512];
  int result = list == NULL ? -1 : 0;
  while (list != NULL && fgets(line, sizeof line, list) != NULL) {
    line[strcspn(line, "\n")] = 0;
    if (LoadModule(line) == 0) continue;
    printf("echo_init: %s: %s\n", line, strerror(errno));
    result = -1;
  }
  if (list != NULL) fclose(list);
  return result;
}

static int FirstLine(const char* path, char* line, size_t size) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  const ssize_t length = read(fd, line, size - 1);
  const int error = errno;
  close(fd);
  errno = error;
  if (length < 0) return -1;
  line[length] = 0;
  line[strcspn(line, "\n")] = 0;
  return 0;
}

// The port's device node by name: there is no udev here.
static int OpenPort(void) {
  for (;;) {
    DIR* ports = opendir("/sys/class/virtio-ports");
    const struct dirent* entry;
    while (ports != NULL && (entry = readdir(ports)) != NULL) {
      char path[512], name[64];
      snprintf(path, sizeof path, "/sys/class/virtio-ports/%s/name", entry->d_name);
      if (entry->d_name[0] == '.' || FirstLine(path, name, sizeof name) != 0 || strcmp(name, kPortName) != 0) continue;
      snprintf(path, sizeof path, "/dev/%s", entry->d_name);
      const int fd = open(path, O_RDWR | O_CLOEXEC);
      if (fd >= 0) {
        closedir(ports);
        return fd;
      }
    }
    if (ports != NULL) closedir(ports);
    usleep(10000);  // the port's name arrives by a control message after the driver has loaded
  }
}

static const char* Answer(char* request, char* answer, size_t size) {
  char* words[5] = {request};
  for (int i = 1; i < 5 && words[i - 1] != NULL; ++i) {
    words[i] = strchr(words[i - 1], ' ');
    if (words[i] != NULL) *words[i]++ = 0;
  }
  int result = 0;
  if (strcmp(words[0], "echo") == 0 && words[1] != NULL) return words[1];
  if (strcmp(words[0], "head") == 0 && words[1] != NULL) {
    result = FirstLine(words[1], answer, size < 65 ? size : 65);
    if (result == 0) return answer;
  } else if (strcmp(words[0], "pci") == 0 && words[1] != NULL) {
    char path[256];
    snprintf(path, sizeof path, "/sys/block/%s", words[1]);
    const ssize_t length = readlink(path, answer, size - 1);
    result = length < 0 ? -1 : 0;
    if (result == 0) {
      answer[length] = 0;
      return answer;
    }
  } else if (strcmp(words[0], "mount") == 0 && words[3] != NULL) {
    mkdir(words[3], 0755);
    result = mount(words[2], words[3], words[1], 0,
                   strcmp(words[1], "9p") == 0 ? "trans=virtio,version=9p2000.L,cache=mmap" : "");
    if (result == 0) return "ok";
  } else if (strcmp(words[0], "late") == 0) {
    result = LoadModules("/etc/podvisor/modules.late");
    if (result == 0) return "ok";
  } else if (strcmp(words[0], "write") == 0 && words[2] != NULL) {
    const int fd = open(words[1], O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    result = fd >= 0 && write(fd, words[2], strlen(words[2])) >= 0 ? 0 : -1;
    const int error = errno;
    if (fd >= 0) close(fd);
    errno = error;
    if (result == 0) return "ok";
  } else if (strcmp(words[0], "dirty") == 0 && words[1] != NULL) {
    const size_t bytes = (size_t)atoi(words[1]) << 20;
    char* memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    result = memory == MAP_FAILED ? -1 : 0;
    for (size_t at = 0; result == 0 && at < bytes; at += 4096) memory[at] = (char)(at >> 12 | 1);
    if (result == 0) munmap(memory, bytes);
    if (result == 0) return "ok";
  } else if (strcmp(words[0], "panic") == 0) {
    exit(1);
  } else {
    errno = EINVAL;
  }
  snprintf(answer, size, "error: %s", strerror(errno));
  return answer;
}

int main(void) {
  mount("proc", "/proc", "proc", 0, "");
  mount("sysfs", "/sys", "sysfs", 0, "");
  mount("devtmpfs", "/dev", "devtmpfs", 0, "");
  if (LoadModules("/etc/podvisor/modules") == 0) printf("echo_init: modules loaded\n");
  fflush(stdout);
  const int port = OpenPort();
  char request[512];
  size_t length = 0;
  for (;;) {
    const ssize_t count = read(port, request + length, sizeof request - 1 - length);
    if (count <= 0) {
      length = 0;
      usleep(10000);  // nobody is connected: this port reads 0 until somebody is
      continue;
    }
    length += (size_t)count;
    request[length] = 0;
    char* end = strchr(request, '\n');
    if (end == NULL) {
      if (length == sizeof request - 1) length = 0;
      continue;
    }
    *end = 0;
    char answer[512], line[600];
    const char* text = Answer(request, answer, sizeof answer);
    const int size = snprintf(line, sizeof line, "%s\n", text);
    if (write(port, line, (size_t)size) != size) printf("echo_init: lost an answer\n");
    length = 0;
  }
}
