#include "agent/guest/runtime/file_watcher.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <set>

#include "agent/guest/log.h"

namespace podvisor::guest {

FileWatcher::FileWatcher(Loop& loop) : loop_(loop), fd_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
  const absl::Status status = loop_.Watch(fd_.get(), EPOLLIN, [this](uint32_t) { Read(); });
  if (!status.ok()) Log("inotify: ", status.message());
}

FileWatcher::~FileWatcher() { loop_.Unwatch(fd_.get()); }

int FileWatcher::Add(const std::string& path, std::function<void()> on_change) {
  const int watch = ::inotify_add_watch(fd_.get(), path.c_str(), IN_MODIFY);
  if (watch >= 0) watches_[watch] = std::move(on_change);
  return watch;
}

void FileWatcher::Remove(int watch) {
  if (watches_.erase(watch) > 0) ::inotify_rm_watch(fd_.get(), watch);
}

void FileWatcher::Read() {
  alignas(inotify_event) char buffer[4096];
  std::set<int> changed;
  for (ssize_t got; (got = ::read(fd_.get(), buffer, sizeof(buffer))) > 0;) {
    for (const char* at = buffer; at < buffer + got;) {
      const auto* event = reinterpret_cast<const inotify_event*>(at);
      changed.insert(event->wd);
      at += sizeof(inotify_event) + event->len;
    }
  }
  for (const int watch : changed) {
    const auto found = watches_.find(watch);
    if (found == watches_.end()) continue;
    const std::function<void()> on_change = found->second;  // it may remove itself
    on_change();
  }
}

}  // namespace podvisor::guest
