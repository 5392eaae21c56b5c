// Clones of a template; cold boots where that can't be.
#ifndef PODVISOR_PODMANAGER_FACTORY_TEMPLATE_FACTORY_H_
#define PODVISOR_PODMANAGER_FACTORY_TEMPLATE_FACTORY_H_

#include <memory>
#include <string>
#include <utility>

#include "podmanager/factory/factory_parts.h"
#include "podmanager/factory/template_store.h"
#include "podmanager/factory/vm_factory.h"

namespace podvisor {

class TemplateFactory final : public VmFactory {
 public:
  // `parts` and `store` outlive the factory.
  TemplateFactory(const FactoryParts& parts, TemplateStore& store, std::unique_ptr<VmFactory> next)
      : parts_(parts), store_(store), next_(std::move(next)) {}

  absl::StatusOr<FactoryVm> Make(const VmOrder& order) override;

 private:
  absl::StatusOr<FactoryVm> Clone(const VmOrder& order, const std::shared_ptr<Template>& made);

  const FactoryParts& parts_;
  TemplateStore& store_;
  const std::unique_ptr<VmFactory> next_;
};

// `made` came by another way than the first one, because of `why`.
FactoryVm AnotherWay(FactoryVm made, const std::string& why);

}  // namespace podvisor

#endif  // PODVISOR_PODMANAGER_FACTORY_TEMPLATE_FACTORY_H_
