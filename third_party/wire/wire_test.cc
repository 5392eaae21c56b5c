// Compares what protoc made of the .proto files with the interface tables, field by field and in both directions.

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

namespace podvisor {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using nlohmann::json;

constexpr char kFolder[] = "third_party/wire/";

class WireTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    std::ifstream in(std::string(kFolder) + "descriptors.bin", std::ios::binary);
    google::protobuf::FileDescriptorSet set;
    ASSERT_TRUE(set.ParseFromIstream(&in));
    for (const auto& file : set.file()) ASSERT_NE(pool_.BuildFile(file), nullptr) << file.name();
  }

  DescriptorPool pool_;
};

// The lite runtime's stand-in for Any is another name for the same wire format.
std::string TableName(const std::string& full_name) {
  return full_name == "ttrpc.Any" ? "google.protobuf.Any" : full_name;
}

std::string TypeName(const FieldDescriptor& field) {
  if (field.is_map()) {
    const Descriptor* entry = field.message_type();
    return "map<" + TypeName(*entry->map_key()) + ", " + TypeName(*entry->map_value()) + ">";
  }
  if (field.type() == FieldDescriptor::TYPE_MESSAGE) return TableName(field.message_type()->full_name());
  if (field.type() == FieldDescriptor::TYPE_ENUM) return field.enum_type()->full_name();
  return field.type_name();
}

// The label as the tables spell it: "" for a plain proto3 field.
std::string Label(const FieldDescriptor& field) {
  if (field.is_map()) return "";
  if (field.is_repeated()) return "repeated";
  return field.has_optional_keyword() ? "optional" : "";
}

void ExpectSameEnum(const EnumDescriptor& actual, const json& expected) {
  std::map<std::string, int> values;
  for (int i = 0; i < actual.value_count(); ++i) values[actual.value(i)->name()] = actual.value(i)->number();
  EXPECT_EQ(values, (expected.get<std::map<std::string, int>>())) << actual.full_name();
}

void ExpectSameMessage(const Descriptor& actual, const json& expected) {
  const json fields = expected.value("fields", json::array());
  ASSERT_EQ(static_cast<size_t>(actual.field_count()), fields.size()) << actual.full_name();
  for (const json& field : fields) {
    const FieldDescriptor* got = actual.FindFieldByNumber(field.at("number"));
    ASSERT_NE(got, nullptr) << actual.full_name() << " lacks " << field;
    const std::string where = got->full_name();
    EXPECT_EQ(got->name(), field.at("name")) << where;
    EXPECT_EQ(TypeName(*got), field.at("type")) << where;
    EXPECT_EQ(Label(*got), field.value("label", "")) << where;
    EXPECT_EQ(got->options().deprecated(), field.value("deprecated", false)) << where;
    const auto* oneof = got->real_containing_oneof();
    EXPECT_EQ(oneof == nullptr ? "" : oneof->name(), field.value("oneof", "")) << where;
  }
  const json enums = expected.value("enums", json::object());
  ASSERT_EQ(static_cast<size_t>(actual.enum_type_count()), enums.size()) << actual.full_name();
  for (const auto& [name, values] : enums.items()) {
    const EnumDescriptor* got = actual.FindEnumTypeByName(name);
    ASSERT_NE(got, nullptr) << actual.full_name() << " lacks enum " << name;
    ExpectSameEnum(*got, values);
  }
}

void ExpectSameServices(const FileDescriptor& actual, const json& expected) {
  ASSERT_EQ(static_cast<size_t>(actual.service_count()), expected.size()) << actual.name();
  for (const auto& [name, methods] : expected.items()) {
    const auto* service = actual.FindServiceByName(name);
    ASSERT_NE(service, nullptr) << name;
    ASSERT_EQ(static_cast<size_t>(service->method_count()), methods.size()) << name;
    for (const auto& [method_name, io] : methods.items()) {
      const auto* method = service->FindMethodByName(method_name);
      ASSERT_NE(method, nullptr) << name << "." << method_name;
      const auto spelled = [](const Descriptor& type, bool stream) {
        return (stream ? "stream " : "") + type.full_name();
      };
      EXPECT_EQ(spelled(*method->input_type(), method->client_streaming()), io.at("in"));
      EXPECT_EQ(spelled(*method->output_type(), method->server_streaming()), io.at("out"));
    }
  }
}

TEST_P(WireTest, DescriptorsEqualTable) {
  std::ifstream in(kFolder + std::string("tables/") + GetParam());
  const json tables = json::parse(in);
  ASSERT_FALSE(tables.empty());
  for (const auto& [file_name, table] : tables.items()) {
    const FileDescriptor* file = pool_.FindFileByName(kFolder + file_name);
    ASSERT_NE(file, nullptr) << file_name;
    EXPECT_EQ(file->package(), table.at("package"));
    std::set<std::string> names;
    for (int i = 0; i < file->message_type_count(); ++i) {
      const Descriptor* message = file->message_type(i);
      if (TableName(message->full_name()) != message->full_name()) continue;
      names.insert(message->name());
      ASSERT_TRUE(table.at("messages").contains(message->name())) << message->full_name() << " is in no table";
      ExpectSameMessage(*message, table.at("messages").at(message->name()));
    }
    EXPECT_EQ(names.size(), table.at("messages").size()) << file_name;
    ASSERT_EQ(static_cast<size_t>(file->enum_type_count()), table.at("enums").size()) << file_name;
    for (const auto& [name, values] : table.at("enums").items()) {
      const EnumDescriptor* got = file->FindEnumTypeByName(name);
      ASSERT_NE(got, nullptr) << name;
      ExpectSameEnum(*got, values);
    }
    ExpectSameServices(*file, table.at("services"));
  }
}

INSTANTIATE_TEST_SUITE_P(Tables, WireTest, testing::Values("cri-v1.json", "kata-agent.json", "ttrpc.json", "nri.json"),
                         [](const auto& test) {
                           std::string name = test.param.substr(0, test.param.find('.'));
                           for (char& c : name)
                             if (!isalnum(static_cast<unsigned char>(c))) c = '_';
                           return name;
                         });

}  // namespace
}  // namespace podvisor

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
