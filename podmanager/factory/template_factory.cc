#include "podmanager/factory/template_factory.h"

#include <spdlog/spdlog.h>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "podmanager/factory/start_vm.h"

namespace podvisor {

namespace {
constexpr int kFailuresThatEndATemplate = 3;
}

FactoryVm AnotherWay(FactoryVm made, const std::string& why) {
  made.why = made.why.empty() ? why : absl::StrCat(why, "; ", made.why);
  return made;
}

absl::StatusOr<FactoryVm> TemplateFactory::Make(const VmOrder& order) {
  if (order.handler->factory == FactoryKind::kCold) return next_->Make(order);
  std::string why = WhyNotGrown(order);
  if (why.empty()) {
    absl::StatusOr<std::shared_ptr<Template>> found = store_.Find(*order.handler);
    if (found.ok()) {
      absl::StatusOr<FactoryVm> made = Clone(order, *found);
      if (made.ok() || order.cancelled()) return made;
      spdlog::error("sandbox {}: a clone failed, it boots cold: {}", order.site.id, made.status().ToString());
      why = absl::StrCat("a clone failed: ", made.status().message());
    } else {
      why = std::string(found.status().message());
    }
  }
  ASSIGN_OR_RETURN(FactoryVm made, next_->Make(order));
  return AnotherWay(std::move(made), why);
}

absl::StatusOr<FactoryVm> TemplateFactory::Clone(const VmOrder& order, const std::shared_ptr<Template>& made) {
  const BootMode mode =
      order.handler->template_pages == TemplatePages::kCopied ? BootMode::kCloneOfCopy : BootMode::kClone;
  absl::StatusOr<FactoryVm> vm = StartVm(parts_.loop, parts_.on_agent_call, order, mode, made->files(), kCloneStages);
  if (!vm.ok()) {
    if (!order.cancelled() && made->CloneFailed() >= kFailuresThatEndATemplate) {
      store_.GiveUp(made, std::string(vm.status().message()));
    }
    return vm;
  }
  made->CloneMade();
  if (absl::Status grown = GrowVm(order, *vm->vm, *vm->agent); !grown.ok()) {
    DiscardVm(*vm->vm, *vm->agent).IgnoreError();  // the caller has it, and tries again
    return grown;
  }
  vm->origin = VmOrigin::kTemplate;
  return vm;
}

}  // namespace podvisor
