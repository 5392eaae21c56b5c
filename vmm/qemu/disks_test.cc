#include "vmm/qemu/disks.h"

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"

namespace podvisor {
namespace {

using nlohmann::json;
using testing::IsEmpty;
using testing::Not;

// QEMU's side of the block layer, as far as the table uses it: it refuses what QEMU refuses.
class FakeBlockLayer {
 public:
  explicit FakeBlockLayer(int slots) {
    for (int i = 0; i < slots; ++i) {
      const std::string slot = absl::StrCat("slot", i), empty = absl::StrCat("empty", i);
      nodes_[empty] = "null-co://";
      nodes_[slot] = "null-co://";
      children_[slot] = empty;
      users_.insert(slot);
    }
  }

  absl::StatusOr<json> Execute(const std::string& command, const json& arguments, int fd) {
    if (--fail_in_ == 0) return absl::InternalError(absl::StrCat(command, ": injected"));
    if (command == "add-fd") return AddFd(arguments, fd);
    if (command == "remove-fd") return fdsets_.erase(arguments["fdset-id"]) > 0 ? Ok() : Refuse("no fdset");
    if (command == "blockdev-add") return BlockdevAdd(arguments);
    if (command == "blockdev-del") return BlockdevDel(arguments["node-name"]);
    if (command == "blockdev-reopen") return Reopen(arguments["options"][0]);
    if (command == "device_add") return DeviceAdd(arguments);
    if (command == "device_del") return DeviceDel(arguments["id"]);
    if (command == "query-fdsets") return QueryFdsets();
    if (command == "query-named-block-nodes") return QueryNodes();
    if (command == "query-block") return QueryBlock();
    return Refuse("no command " + command);
  }

  // The command after so many succeeds no more; 0: all succeed.
  void FailIn(int commands) { fail_in_ = commands; }
  size_t fdsets() const { return fdsets_.size(); }
  size_t nodes() const { return nodes_.size(); }
  std::string file_of(const std::string& node) { return nodes_[node]; }

 private:
  static absl::StatusOr<json> Ok() { return json::object(); }
  static absl::StatusOr<json> Refuse(const std::string& why) { return absl::InternalError(why); }

  absl::StatusOr<json> AddFd(const json& arguments, int fd) {
    if (fd < 0) return Refuse("no descriptor");
    fdsets_[arguments["fdset-id"]] = arguments["opaque"];
    return Ok();
  }
  absl::StatusOr<json> BlockdevAdd(const json& node) {
    const std::string name = node["node-name"];
    if (nodes_.count(name) > 0) return Refuse("duplicate node");
    if (node.contains("filename")) {
      nodes_[name] = node["filename"];
    } else {
      if (nodes_.count(node["file"]) == 0) return Refuse("no such child");
      children_[name] = node["file"];
      nodes_[name] = nodes_[node["file"]];
    }
    return Ok();
  }
  absl::StatusOr<json> BlockdevDel(const std::string& name) {
    if (nodes_.count(name) == 0) return Refuse("no such node");
    for (const auto& [parent, child] : children_)
      if (child == name) return Refuse("node is in use by " + parent);
    if (users_.count(name) > 0) return Refuse("node is in use by a device");
    nodes_.erase(name);
    children_.erase(name);
    return Ok();
  }
  absl::StatusOr<json> Reopen(const json& options) {
    const std::string name = options["node-name"], child = options["file"];
    if (nodes_.count(name) == 0 || nodes_.count(child) == 0) return Refuse("no such node");
    children_[name] = child;
    nodes_[name] = nodes_[child];
    return Ok();
  }
  absl::StatusOr<json> DeviceAdd(const json& device) {
    if (nodes_.count(device["drive"]) == 0 || !devices_.emplace(device["id"], device["drive"]).second)
      return Refuse("device_add");
    users_.insert(device["drive"].get<std::string>());
    return Ok();
  }
  absl::StatusOr<json> DeviceDel(const std::string& id) {
    const auto device = devices_.find(id);
    if (device == devices_.end()) return absl::NotFoundError("no such device");
    users_.erase(device->second);
    devices_.erase(device);
    return Ok();
  }
  absl::StatusOr<json> QueryFdsets() {
    json sets = json::array();
    for (const auto& [id, label] : fdsets_)
      sets.push_back({{"fdset-id", id}, {"fds", json::array({{{"fd", 20}, {"opaque", label}}})}});
    return sets;
  }
  absl::StatusOr<json> QueryNodes() {
    json nodes = json::array();
    for (const auto& [name, file] : nodes_) nodes.push_back({{"node-name", name}, {"file", file}});
    return nodes;
  }
  absl::StatusOr<json> QueryBlock() {
    json devices = json::array();
    for (const std::string& user : users_)
      devices.push_back({{"device", ""}, {"inserted", {{"node-name", user}, {"file", nodes_[user]}}}});
    devices.push_back({{"device", "floppy"}});
    return devices;
  }

  int fail_in_ = 0;
  std::map<int, std::string> fdsets_;
  std::map<std::string, std::string> nodes_, children_, devices_;
  std::set<std::string> users_;  // nodes that a device is on
};

class DiskTableTest : public testing::Test {
 protected:
  DiskTableTest() : idle_nodes_(qemu_.nodes()) {}

  std::unique_ptr<DiskTable> NewTable() {
    auto table = std::make_unique<DiskTable>(
        2, [this](const std::string& command, json arguments, int fd) { return qemu_.Execute(command, arguments, fd); },
        [](const std::string&) { return absl::OkStatus(); });
    EXPECT_OK(table->Load());
    return table;
  }
  std::string Image(const std::string& name) {
    const std::string path = testing::TempDir() + "/" + name;
    std::ofstream(path) << name;
    return path;
  }
  void ExpectNothingLeft() {
    EXPECT_EQ(qemu_.fdsets(), 0u);
    EXPECT_EQ(qemu_.nodes(), idle_nodes_);
  }

  FakeBlockLayer qemu_{2};
  const size_t idle_nodes_;
  std::unique_ptr<DiskTable> table_ = NewTable();
};

TEST_F(DiskTableTest, ReadOnlyDisksFillSlotsThenScsi) {
  const auto a = table_->Attach({Image("a"), true});
  const auto b = table_->Attach({Image("b"), true});
  const auto c = table_->Attach({Image("c"), true});
  ASSERT_OK(a);
  ASSERT_OK(b);
  ASSERT_OK(c);
  EXPECT_EQ(a->pci_path, "08");
  EXPECT_EQ(b->pci_path, "09");
  EXPECT_EQ(c->scsi_addr, "0:0");
  EXPECT_EQ(qemu_.file_of("slot0"), "/dev/fdset/0");
  EXPECT_OK(table_->Detach(a->id));
  EXPECT_EQ(qemu_.file_of("slot0"), "null-co://");
  const auto d = table_->Attach({Image("d"), true});
  ASSERT_OK(d);
  EXPECT_EQ(d->pci_path, "08");
  for (const auto& disk : {*b, *c, *d}) EXPECT_OK(table_->Detach(disk.id));
  ExpectNothingLeft();
}

TEST_F(DiskTableTest, WritableDisksAreAnotherDiskThanReadOnlyOnes) {
  const std::string path = Image("a");
  const auto ro = table_->Attach({path, true});
  const auto rw = table_->Attach({path, false});
  ASSERT_OK(ro);
  ASSERT_OK(rw);
  EXPECT_THAT(ro->scsi_addr, IsEmpty());
  EXPECT_THAT(rw->pci_path, IsEmpty());
  EXPECT_EQ(table_->Attach({path, false})->id, rw->id);
}

TEST_F(DiskTableTest, WhatIsNoImageIsRefused) {
  EXPECT_THAT(table_->Attach({"/nosuch", true}),
              StatusIs(absl::StatusCode::kNotFound, "attach disk /nosuch: open: No such file"));
  EXPECT_THAT(table_->Attach({testing::TempDir(), true}), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(table_->Attach({"/dev/null", true}), StatusIs(absl::StatusCode::kInvalidArgument));
  ExpectNothingLeft();
}

// Whatever command fails first, nothing is left and the place is free.
TEST_F(DiskTableTest, FailureAtAnyPointIsUndone) {
  for (const bool read_only : {true, false}) {
    bool attached = false;
    for (int n = 1; !attached; ++n) {
      ASSERT_LT(n, 20);
      qemu_.FailIn(n);
      const auto disk = table_->Attach({Image("a"), read_only});
      qemu_.FailIn(0);
      attached = disk.ok();
      if (attached) {
        EXPECT_OK(table_->Detach(disk->id));
      }
      ExpectNothingLeft();
    }
  }
}

TEST_F(DiskTableTest, DetachThatFailsCanBeRepeated) {
  for (const bool read_only : {true, false}) {
    bool detached = false;
    for (int n = 1; !detached; ++n) {
      ASSERT_LT(n, 20);
      const auto disk = table_->Attach({Image("a"), read_only});
      ASSERT_OK(disk);
      qemu_.FailIn(n);
      detached = table_->Detach(disk->id).ok();
      qemu_.FailIn(0);
      EXPECT_OK(table_->Detach(disk->id));
      ExpectNothingLeft();
    }
  }
}

TEST_F(DiskTableTest, ALaterDaemonKnowsTheDisks) {
  const auto slot = table_->Attach({Image("a"), true});
  const auto scsi = table_->Attach({Image("b"), false});
  ASSERT_OK(slot);
  ASSERT_OK(scsi);
  table_ = NewTable();
  EXPECT_EQ(table_->Attach({Image("a"), true})->id, slot->id);
  EXPECT_EQ(table_->Attach({Image("b"), false})->id, scsi->id);
  EXPECT_EQ(table_->Attach({Image("c"), true})->pci_path, "09");
  EXPECT_OK(table_->Detach(slot->id));
  EXPECT_OK(table_->Detach(scsi->id));
}

// The daemon was killed between two commands of an attach or detach.
TEST_F(DiskTableTest, ALaterDaemonRemovesHalfADisk) {
  for (const bool read_only : {true, false}) {
    for (int n = 1; n < 8; ++n) {
      const std::string path = Image("a");
      int left = n;
      DiskTable dying(
          2,
          [&](const std::string& command, json arguments, int fd) -> absl::StatusOr<json> {
            if (left-- <= 0) return absl::UnavailableError("killed");
            return qemu_.Execute(command, arguments, fd);
          },
          [](const std::string&) { return absl::OkStatus(); });
      (void)dying.Attach({path, read_only}).status();
      table_ = NewTable();
      const auto again = table_->Attach({path, read_only});
      ASSERT_OK(again);
      EXPECT_OK(table_->Detach(again->id));
      ExpectNothingLeft();
    }
  }
}

TEST_F(DiskTableTest, RunsOutAtLast) {
  absl::Status status;
  int attached = 0;
  for (; attached < 200 && status.ok(); ++attached)
    status = table_->Attach({Image(absl::StrCat("image", attached)), true}).status();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted, "all 2 slots and 64 SCSI targets are taken"));
  EXPECT_EQ(attached, 2 + 64 + 1);
}

}  // namespace
}  // namespace podvisor
