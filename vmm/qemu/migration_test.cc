#include "vmm/qemu/migration.h"

#include <functional>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"

namespace podvisor {
namespace {

using nlohmann::json;
using testing::ElementsAre;

absl::Time Soon() { return absl::Now() + absl::Seconds(60); }

// QEMU's side: notes the commands; `on_start` happens when the state is asked for.
struct FakeQemu {
  std::vector<std::string> commands;
  std::function<absl::StatusOr<json>()> on_start = [] { return json::object(); };

  Migration::Execute execute() {
    return [this](const std::string& command, const json&, int) -> absl::StatusOr<json> {
      commands.push_back(command);
      if (command == "migrate" || command == "migrate-incoming") return on_start();
      if (command == "query-migrate") return json{{"status", "failed"}, {"error-desc", "no space left"}};
      return json::object();
    };
  }
};

TEST(MigrationTest, SaveWaitsForTheEvent) {
  Migration migration;
  FakeQemu qemu;
  qemu.on_start = [&] {
    for (const char* status : {"setup", "active", "completed"}) migration.Event({{"status", status}});
    return json::object();
  };
  EXPECT_OK(migration.Save(qemu.execute(), 5, Soon()));
  EXPECT_THAT(qemu.commands, ElementsAre("migrate-set-capabilities", "getfd", "migrate"));
}

TEST(MigrationTest, WhySavingFailsIsAsked) {
  Migration migration;
  FakeQemu qemu;
  qemu.on_start = [&] {
    migration.Event({{"status", "failed"}});
    return json::object();
  };
  EXPECT_THAT(migration.Save(qemu.execute(), 5, Soon()),
              StatusIs(absl::StatusCode::kFailedPrecondition, "no space left"));
}

TEST(MigrationTest, RefusalIsAPrecondition) {
  Migration migration;
  FakeQemu qemu;
  qemu.on_start = [] { return absl::InternalError("migrate: VirtFS is mounted"); };
  EXPECT_THAT(migration.Save(qemu.execute(), 5, Soon()),
              StatusIs(absl::StatusCode::kFailedPrecondition, "VirtFS is mounted"));
}

TEST(MigrationTest, EndOfQemuEndsTheWait) {
  Migration migration;
  FakeQemu qemu;
  qemu.on_start = [&] {
    migration.Event({{"status", "active"}});
    migration.Ended();
    return json::object();
  };
  EXPECT_THAT(migration.Load(qemu.execute(), 8, Soon()), StatusIs(absl::StatusCode::kUnavailable, "ended"));
}

TEST(MigrationTest, SilenceIsNoEnd) {
  Migration migration;
  FakeQemu qemu;
  EXPECT_THAT(migration.Load(qemu.execute(), 8, absl::Now()), StatusIs(absl::StatusCode::kUnavailable, "in time"));
  EXPECT_EQ(qemu.commands.back(), "migrate-incoming");
}

}  // namespace
}  // namespace podvisor
