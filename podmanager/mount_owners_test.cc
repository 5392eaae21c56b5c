#include "podmanager/mount_owners.h"

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace podvisor {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

MountConfig Mapped(uint32_t container, uint32_t host, uint32_t length) {
  MountConfig mount;
  for (auto* list : {mount.mutable_uid_mappings(), mount.mutable_gid_mappings()}) {
    IdMapping* mapping = list->Add();
    mapping->set_container_id(container);
    mapping->set_host_id(host);
    mapping->set_length(length);
  }
  return mount;
}

TEST(MountOwnersTest, NothingIsMappedUnlessAsked) {
  EXPECT_THAT(MountOwners(MountConfig(), {{5, 6}}).uids, IsEmpty());
  EXPECT_THAT(MountOwners(MountConfig(), {{5, 6}}).gids, IsEmpty());
}

TEST(MountOwnersTest, TheVmmsOwnUserIsMappedBeside) {
  const IdMappings owners = MountOwners(Mapped(0, 65536, 65536), {{1900000007, 0}});
  EXPECT_THAT(owners.uids, ElementsAre(IdRange{0, 65536, 65536}, IdRange{1900000007, 1900000007, 1}));
  // Root's place on the disk is taken by the container's.
  EXPECT_THAT(owners.gids, ElementsAre(IdRange{0, 65536, 65536}, IdRange{65536, 0, 1}));
}

TEST(MountOwnersTest, AUserThatIsMappedAlreadyIsNotMappedTwice) {
  const IdMappings owners = MountOwners(Mapped(0, 1000, 100000), {{1000, 100999}, {101000, 999}, {101000, 999}});
  EXPECT_THAT(owners.uids, ElementsAre(IdRange{0, 1000, 100000}, IdRange{101000, 101000, 1}));
  EXPECT_THAT(owners.gids, ElementsAre(IdRange{0, 1000, 100000}, IdRange{100000, 999, 1}));
}

TEST(MountOwnersTest, OfAProcess) {
  const auto maker = ReadFileMaker("Name:\tqemu\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t9\n");
  ASSERT_OK(maker);
  EXPECT_EQ(maker->uid, 4u);
  EXPECT_EQ(maker->gid, 8u);
  EXPECT_THAT(ReadFileMaker("Uid:\t1\t2\t3\t4\n"), StatusIs(absl::StatusCode::kInternal, "Gid:"));
}

}  // namespace
}  // namespace podvisor
