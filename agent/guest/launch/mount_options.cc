#include "agent/guest/launch/mount_options.h"

#include <sys/mount.h>

namespace podvisor::guest {
namespace {

struct Flag {
  const char* name;
  unsigned long flag;
  uint64_t attribute;
  bool set;
};

constexpr Flag kFlags[] = {
    {"ro", MS_RDONLY, MOUNT_ATTR_RDONLY, true},
    {"rw", MS_RDONLY, MOUNT_ATTR_RDONLY, false},
    {"nosuid", MS_NOSUID, MOUNT_ATTR_NOSUID, true},
    {"suid", MS_NOSUID, MOUNT_ATTR_NOSUID, false},
    {"nodev", MS_NODEV, MOUNT_ATTR_NODEV, true},
    {"dev", MS_NODEV, MOUNT_ATTR_NODEV, false},
    {"noexec", MS_NOEXEC, MOUNT_ATTR_NOEXEC, true},
    {"exec", MS_NOEXEC, MOUNT_ATTR_NOEXEC, false},
    {"noatime", MS_NOATIME, MOUNT_ATTR_NOATIME, true},
    {"nodiratime", MS_NODIRATIME, MOUNT_ATTR_NODIRATIME, true},
    {"relatime", MS_RELATIME, MOUNT_ATTR_RELATIME, true},
    {"strictatime", MS_STRICTATIME, MOUNT_ATTR_STRICTATIME, true},
    {"nosymfollow", MS_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW, true},
    {"sync", MS_SYNCHRONOUS, 0, true},
    {"async", MS_SYNCHRONOUS, 0, false},
    {"dirsync", MS_DIRSYNC, 0, true},
    {"mand", MS_MANDLOCK, 0, true},
    {"defaults", 0, 0, true},
    {"tmpcopyup", 0, 0, true},  // runc's own: what lies under a tmpfs is not copied here
};

struct RecursiveFlag {
  const char* name;
  uint64_t attribute;
};

constexpr RecursiveFlag kRecursive[] = {
    {"rro", MOUNT_ATTR_RDONLY},     {"rnosuid", MOUNT_ATTR_NOSUID},   {"rnodev", MOUNT_ATTR_NODEV},
    {"rnoexec", MOUNT_ATTR_NOEXEC}, {"rnoatime", MOUNT_ATTR_NOATIME},
};

struct Propagation {
  const char* name;
  unsigned long flag;
  bool recursive;
};

constexpr Propagation kPropagations[] = {
    {"shared", MS_SHARED, false},         {"rshared", MS_SHARED, true},         {"slave", MS_SLAVE, false},
    {"rslave", MS_SLAVE, true},           {"private", MS_PRIVATE, false},       {"rprivate", MS_PRIVATE, true},
    {"unbindable", MS_UNBINDABLE, false}, {"runbindable", MS_UNBINDABLE, true},
};

bool TakeFlag(const std::string& option, MountOptions* parsed) {
  for (const Flag& known : kFlags) {
    if (option != known.name) continue;
    if (known.set) {
      parsed->flags |= known.flag;
      parsed->attributes |= known.attribute;
    } else {
      parsed->flags &= ~known.flag;
      parsed->attributes &= ~known.attribute;
    }
    return true;
  }
  for (const RecursiveFlag& known : kRecursive) {
    if (option != known.name) continue;
    parsed->recursive_attributes |= known.attribute;
    return true;
  }
  for (const Propagation& known : kPropagations) {
    if (option != known.name) continue;
    parsed->propagation = known.flag;
    parsed->recursive_propagation = known.recursive;
    return true;
  }
  return false;
}

}  // namespace

MountOptions ParseMountOptions(const google::protobuf::RepeatedPtrField<std::string>& options) {
  MountOptions parsed;
  for (const std::string& option : options) {
    if (option == "bind" || option == "rbind") {
      parsed.bind = true;
      parsed.recursive = option == "rbind";
    } else if (!TakeFlag(option, &parsed)) {
      if (!parsed.data.empty()) parsed.data += ",";
      parsed.data += option;
    }
  }
  return parsed;
}

}  // namespace podvisor::guest
