// Tells of changes of the kernel's files (cgroup.events, memory.events), by inotify.
#ifndef PODVISOR_AGENT_GUEST_RUNTIME_FILE_WATCHER_H_
#define PODVISOR_AGENT_GUEST_RUNTIME_FILE_WATCHER_H_

#include <functional>
#include <map>
#include <string>

#include "agent/guest/loop.h"
#include "base/unique_fd.h"

namespace podvisor::guest {

class FileWatcher {
 public:
  explicit FileWatcher(Loop& loop);
  FileWatcher(const FileWatcher&) = delete;
  FileWatcher& operator=(const FileWatcher&) = delete;
  ~FileWatcher();

  // Calls `on_change` from the loop until Remove. Returns -1 if the file cannot be watched (it does not exist, say).
  int Add(const std::string& path, std::function<void()> on_change);
  void Remove(int watch);

 private:
  void Read();

  Loop& loop_;
  UniqueFd fd_;
  std::map<int, std::function<void()>> watches_;
};

}  // namespace podvisor::guest

#endif  // PODVISOR_AGENT_GUEST_RUNTIME_FILE_WATCHER_H_
