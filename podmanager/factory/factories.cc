#include "podmanager/factory/factories.h"

#include <utility>

#include "podmanager/factory/cold_factory.h"
#include "podmanager/factory/template_factory.h"
#include "podmanager/factory/template_files.h"

namespace podvisor {

namespace {

std::vector<const RuntimeHandler*> Pointers(const std::map<std::string, RuntimeHandler>& handlers) {
  std::vector<const RuntimeHandler*> pointers;
  for (const auto& [name, handler] : handlers) pointers.push_back(&handler);
  return pointers;
}

}  // namespace

Factories::Factories(FactoryParts parts, const FactoryOptions& options, CgroupPlan pool_cgroup,
                     const std::map<std::string, RuntimeHandler>& handlers)
    : parts_(std::move(parts)),
      pool_cgroup_(std::move(pool_cgroup)),
      handlers_(Pointers(handlers)),
      store_(parts_, TemplateDir(options.template_dir, parts_.run_dir), options.check_template_room) {
  auto cold = std::make_unique<ColdFactory>(parts_.loop, parts_.on_agent_call);
  auto clones = std::make_unique<TemplateFactory>(parts_, store_, std::move(cold));
  pool_ = std::make_unique<PoolFactory>(parts_, store_, std::move(clones), options.pool, handlers_);
  store_.set_on_change([this] { pool_->Wake(); });
}

void Factories::Start(std::vector<PoolRecord> left) {
  bool clones = !left.empty();
  for (const RuntimeHandler* handler : handlers_) clones = clones || handler->factory != FactoryKind::kCold;
  if (clones) parts_.cgroup_procs = MakePoolCgroup(pool_cgroup_);
  store_.Start(handlers_);
  for (const RuntimeHandler* handler : handlers_) {
    if (handler->factory != FactoryKind::kCold) store_.Find(*handler).IgnoreError();  // begins to be made
  }
  if (clones) pool_->Start(std::move(left));
}

void Factories::Close(PoolFactory::Waiting waiting) {
  pool_->Close(waiting);
  parts_.own_agents->CloseAll();
}

}  // namespace podvisor
