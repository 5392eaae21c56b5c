#include "podmanager/name_index.h"

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "podmanager/ids.h"

namespace podvisor {
namespace {

using absl::StatusCode;

class Thing {
 public:
  explicit Thing(std::string id) : id_(std::move(id)) {}
  const std::string& id() const { return id_; }

 private:
  std::string id_;
};

TEST(NameIndexTest, NameIsHeldUntilErased) {
  NameIndex<Thing> index("sandbox");
  auto first = std::make_shared<Thing>("aa1");
  EXPECT_EQ(index.InsertOrFindHolder("web", first), nullptr);
  EXPECT_EQ(index.InsertOrFindHolder("web", std::make_shared<Thing>("bb2")), first);
  EXPECT_THAT(index.Find("bb2"), StatusIs(StatusCode::kNotFound));
  index.Erase("aa1");
  EXPECT_EQ(index.InsertOrFindHolder("web", std::make_shared<Thing>("bb2")), nullptr);
  EXPECT_THAT(index.Find("bb2"), IsOk());
}

TEST(NameIndexTest, FindsByUnambiguousPrefix) {
  NameIndex<Thing> index("sandbox");
  index.InsertOrFindHolder("a", std::make_shared<Thing>("abc1"));
  index.InsertOrFindHolder("b", std::make_shared<Thing>("abd2"));
  index.InsertOrFindHolder("c", std::make_shared<Thing>("abd"));
  EXPECT_EQ(index.Find("abc").value()->id(), "abc1");
  EXPECT_EQ(index.Find("abd").value()->id(), "abd") << "a whole id is never ambiguous";
  EXPECT_THAT(index.Find("ab"), StatusIs(StatusCode::kInvalidArgument, "abc1"));
  EXPECT_THAT(index.Find("x"), StatusIs(StatusCode::kNotFound, "sandbox x not found"));
  EXPECT_THAT(index.Find(""), StatusIs(StatusCode::kInvalidArgument));
}

TEST(IdsTest, AreSixtyFourHexDigitsAndDiffer) {
  const std::string id = RandomId();
  EXPECT_TRUE(IsId(id)) << id;
  EXPECT_NE(id, RandomId());
  EXPECT_FALSE(IsId(id.substr(1)));
  EXPECT_FALSE(IsId("G" + id.substr(1)));
  EXPECT_FALSE(IsId(""));
}

TEST(IdsTest, MacIsLocalUnicastAndStable) { EXPECT_EQ(MacOf("0123456789abcdef"), "02:01:23:45:67:89"); }

}  // namespace
}  // namespace podvisor
