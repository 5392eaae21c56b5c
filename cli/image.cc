// podvisor image pull|import|ls|rm.

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "cli/commands.h"
#include "cli/pull.h"

namespace podvisor::cli {
namespace {

using runtime::v1::ImageService;

std::string Size(uint64_t bytes) {
  if (bytes >= 1 << 30) return absl::StrFormat("%.2f GiB", static_cast<double>(bytes) / (1 << 30));
  if (bytes >= 1 << 20) return absl::StrFormat("%.1f MiB", static_cast<double>(bytes) / (1 << 20));
  return absl::StrFormat("%.1f KiB", static_cast<double>(bytes) / (1 << 10));
}

absl::Status Ls(Context& context) {
  const Client client = context.Connect();
  ASSIGN_OR_RETURN(const auto answer,
                   Call(client, *client.images, &ImageService::Stub::ListImages, runtime::v1::ListImagesRequest()));
  std::cout << std::left << std::setw(60) << "IMAGE" << std::setw(16) << "ID"
            << "SIZE\n";
  for (const auto& image : answer.images()) {
    std::vector<std::string> names(image.repo_tags().begin(), image.repo_tags().end());
    if (names.empty()) names.assign(image.repo_digests().begin(), image.repo_digests().end());
    if (names.empty()) names.push_back("<none>");
    for (const std::string& name : names)
      std::cout << std::left << std::setw(60) << name << std::setw(16) << image.id().substr(7, 13) << Size(image.size())
                << "\n";
  }
  return absl::OkStatus();
}

absl::Status Import(Context& context, const std::string& path, const std::string& name) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  if (error || !std::filesystem::exists(absolute))
    return absl::NotFoundError(absl::StrCat("import ", path, ": no such file or folder"));
  const Client client = context.Connect();
  v1::ImportImageRequest request;
  request.set_path(absolute.string());
  request.set_name(name);
  ASSIGN_OR_RETURN(const auto answer,
                   Call(client, *client.admin, &v1::Admin::Stub::ImportImage, request, absl::Minutes(30)));
  std::cout << (answer.repo_tags_size() > 0 ? answer.repo_tags(0) : answer.image_id()) << "\n";
  return absl::OkStatus();
}

absl::Status Remove(Context& context, const std::string& name) {
  const Client client = context.Connect();
  runtime::v1::ImageStatusRequest ask;
  ask.mutable_image()->set_image(name);
  ASSIGN_OR_RETURN(const auto found, Call(client, *client.images, &ImageService::Stub::ImageStatus, ask));
  if (!found.has_image()) return absl::NotFoundError(absl::StrCat("no image ", name, ": podvisor image ls lists them"));
  runtime::v1::RemoveImageRequest request;
  request.mutable_image()->set_image(name);
  return Call(client, *client.images, &ImageService::Stub::RemoveImage, request).status();
}

}  // namespace

void AddImage(CLI::App& app, Context& context) {
  CLI::App* image = app.add_subcommand("image", "Images");
  image->require_subcommand(1);
  auto word = std::make_shared<std::string>();
  auto name = std::make_shared<std::string>();

  CLI::App* pull = image->add_subcommand("pull", "Pull an image from its registry");
  pull->add_option("IMAGE", *word, "Reference: busybox, registry.example/app:1, app@sha256:...")->required();
  pull->callback([&context, word] {
    const Client client = context.Connect();
    const absl::StatusOr<std::string> id = PullWithProgress(client, *word);
    if (id.ok()) std::cout << *id << "\n";
    context.Finish(id.status());
  });

  CLI::App* import = image->add_subcommand("import", "Import an OCI layout (folder or tar) or a docker-archive");
  import->add_option("PATH", *word, "On the daemon's machine")->required();
  import->add_option("--name", *name, "Reference to give the image instead of the one in the archive");
  import->callback([&context, word, name] { context.Finish(Import(context, *word, *name));
});

CLI::App* ls = image->add_subcommand("ls", "List images");
ls->callback([&context] { context.Finish(Ls(context)); });

CLI::App* rm = image->add_subcommand("rm", "Remove an image with all its names");
rm->add_option("IMAGE", *word, "Reference or id")->required();
rm->callback([&context, word] { context.Finish(Remove(context, *word)); });
}  // namespace podvisor::cli

}  // namespace podvisor::cli
