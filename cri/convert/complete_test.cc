// Every field that a client can set changes what podmanager is told, or is listed here as one that has no meaning.
#include <functional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cri/convert/container.h"
#include "cri/convert/sandbox.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"

namespace podvisor::cri {
namespace {

namespace v1 = ::runtime::v1;
using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::Message;
using ::google::protobuf::Reflection;

// Sets a leaf to a value that is not the default.
void SetLeaf(Message* message, const FieldDescriptor* field) {
  const Reflection* reflection = message->GetReflection();
  const bool repeated = field->is_repeated();
  switch (field->cpp_type()) {
#define CASE(TYPE, Type, value)                                                                             \
  case FieldDescriptor::CPPTYPE_##TYPE:                                                                     \
    repeated ? reflection->Add##Type(message, field, value) : reflection->Set##Type(message, field, value); \
    break;
    CASE(INT32, Int32, 7)
    CASE(INT64, Int64, 7)
    CASE(UINT32, UInt32, 7)
    CASE(UINT64, UInt64, 7)
    CASE(BOOL, Bool, true)
    CASE(STRING, String, "localhost/x")
#undef CASE
    case FieldDescriptor::CPPTYPE_ENUM:
      reflection->SetEnumValue(message, field, 1);
      break;
    default:
      FAIL() << "no such field in CRI's configurations: " << field->full_name();
  }
}

// A way from the root to a message: the parent's fields, by which it is made anew in a copy of the root.
using Path = std::vector<const FieldDescriptor*>;

Message* Reach(Message* root, const Path& path) {
  for (const FieldDescriptor* field : path) {
    const Reflection* reflection = root->GetReflection();
    root = field->is_repeated() ? reflection->AddMessage(root, field) : reflection->MutableMessage(root, field);
  }
  return root;
}

// The paths of leaves below `path` that leave the outcome of `convert` as it is without them.
void FindLost(const Message& prototype, const Path& path, const std::function<std::string(const Message&)>& convert,
              absl::flat_hash_set<std::string>& lost) {
  std::unique_ptr<Message> without(prototype.New());
  const ::google::protobuf::Descriptor* type = Reach(without.get(), path)->GetDescriptor();
  const std::string before = convert(*without);
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    Path child = path;
    child.push_back(field);
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && !field->is_map()) {
      FindLost(prototype, child, convert, lost);
      continue;
    }
    std::unique_ptr<Message> with(prototype.New());
    Message* message = Reach(with.get(), path);
    if (field->is_map()) {
      Message* entry = message->GetReflection()->AddMessage(message, field);
      SetLeaf(entry, field->message_type()->map_key());
      SetLeaf(entry, field->message_type()->map_value());
    } else {
      SetLeaf(message, field);
    }
    if (convert(*with) == before) {
      lost.insert(absl::StrJoin(child, ".", [](std::string* out, const FieldDescriptor* f) { *out += f->name(); }));
    }
  }
}

TEST(CompleteTest, SandboxConfig) {
  absl::flat_hash_set<std::string> lost;
  FindLost(
      v1::PodSandboxConfig(), {},
      [](const Message& m) { return SandboxFromCri(static_cast<const v1::PodSandboxConfig&>(m)).SerializeAsString(); },
      lost);
  const absl::flat_hash_set<std::string> expected = {
      // Refused by validation.
      "windows.security_context.run_as_username", "windows.security_context.credential_spec",
      "windows.security_context.host_process", "windows.security_context.namespace_options.network",
      // A pod without a pause container has no process of its own that they would confine.
      "linux.security_context.selinux_options.user", "linux.security_context.selinux_options.role",
      "linux.security_context.selinux_options.type", "linux.security_context.selinux_options.level",
      "linux.security_context.apparmor.profile_type", "linux.security_context.apparmor.localhost_ref"};
  for (const std::string& path : lost) EXPECT_TRUE(expected.contains(path)) << path << " is lost";
  for (const std::string& path : expected) EXPECT_TRUE(lost.contains(path)) << path << " is not lost: strike it";
}

TEST(CompleteTest, ContainerConfig) {
  absl::flat_hash_set<std::string> lost;
  FindLost(
      v1::ContainerConfig(), {},
      [](const Message& m) { return ContainerFromCri(static_cast<const v1::ContainerConfig&>(m)).SerializeAsString(); },
      lost);
  const absl::flat_hash_set<std::string> expected = {
      // Refused by validation.
      "windows.security_context.run_as_username", "windows.security_context.credential_spec",
      "windows.security_context.host_process", "windows.resources.cpu_shares", "windows.resources.cpu_count",
      "windows.resources.cpu_maximum", "windows.resources.memory_limit_in_bytes",
      "windows.resources.rootfs_size_in_bytes", "windows.resources.affinity_cpus.cpu_mask",
      "windows.resources.affinity_cpus.cpu_group", "CDI_devices.name",
      // What is left of an image's specification when it has been pulled is the image.
      "image.annotations", "image.runtime_handler", "image.image_ref", "mounts.image.annotations",
      "mounts.image.user_specified_image", "mounts.image.runtime_handler", "mounts.image.image_ref"};
  for (const std::string& path : lost) EXPECT_TRUE(expected.contains(path)) << path << " is lost";
  for (const std::string& path : expected) EXPECT_TRUE(lost.contains(path)) << path << " is not lost: strike it";
}

}  // namespace
}  // namespace podvisor::cri
