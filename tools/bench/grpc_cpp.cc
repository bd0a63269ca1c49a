// The same bare lookups as the C limit (limit.c), in gRPC C++ with its callback API, on a Unix
// socket: what the usual stack costs.
//
//     grpc_cpp --tenants N --unix PATH
//
// Prints "ready" when it listens.

#include <grpcpp/grpcpp.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <unordered_map>

#include "tenancy/v1/authorization.grpc.pb.h"
#include "tenancy/v1/tenant_resolver.grpc.pb.h"

namespace v1 = tenancy::v1;
using grpc::CallbackServerContext, grpc::ServerUnaryReactor, grpc::Status, grpc::StatusCode;

struct Tenant {
  std::string name, slug, display_name, schema_name;
};

class Tenants {
 public:
  explicit Tenants(int count) {
    for (int n = 0; n < count; n++) {
      char number[16], name[64];
      snprintf(number, sizeof number, "%05d", n);
      snprintf(name, sizeof name, "tenants/01890000-0000-7000-8000-%012x", n);
      std::string slug = std::string("tenant-") + number;
      tenants_[slug] = {name, slug, std::string("Tenant ") + number,
                        std::string("tenant_") + number};
    }
  }

  // The tenant that `/tenants/{slug}/...` or `tenants/{slug}` is about.
  const Tenant *In(std::string_view path) const {
    constexpr std::string_view prefix = "tenants/";
    if (!path.empty() && path[0] == '/') path.remove_prefix(1);
    if (path.substr(0, prefix.size()) != prefix) return nullptr;
    path.remove_prefix(prefix.size());
    auto found = tenants_.find(std::string(path.substr(0, path.find('/'))));
    return found == tenants_.end() ? nullptr : &found->second;
  }

 private:
  std::unordered_map<std::string, Tenant> tenants_;
};

class Resolver final : public v1::TenantResolver::CallbackService {
 public:
  explicit Resolver(const Tenants &tenants) : tenants_(tenants) {}

  ServerUnaryReactor *ResolveTenant(CallbackServerContext *context,
                                    const v1::ResolveTenantRequest *request,
                                    v1::ResolveTenantResponse *response) override {
    ServerUnaryReactor *reactor = context->DefaultReactor();
    const Tenant *tenant = tenants_.In(request->path());
    if (!tenant) {
      reactor->Finish(Status(StatusCode::NOT_FOUND, ""));
      return reactor;
    }
    v1::ResolvedTenant *resolved = response->mutable_tenant();
    resolved->set_name(tenant->name);
    resolved->set_id(tenant->name.substr(strlen("tenants/")));
    resolved->set_slug(tenant->slug);
    resolved->set_display_name(tenant->display_name);
    resolved->set_state(v1::TENANT_STATE_ACTIVE);
    resolved->set_isolation_model(v1::ISOLATION_MODEL_SCHEMA);
    resolved->set_epoch(3);
    resolved->set_schema_name(tenant->schema_name);
    response->set_strategy(v1::RESOLUTION_STRATEGY_PATH);
    v1::ResolutionFinding *finding = response->add_explanation();
    finding->set_strategy(v1::RESOLUTION_STRATEGY_PATH);
    finding->set_value(tenant->slug);
    finding->set_decided(true);
    reactor->Finish(Status::OK);
    return reactor;
  }

 private:
  const Tenants &tenants_;
};

class Authorizer final : public v1::Authorization::CallbackService {
 public:
  explicit Authorizer(const Tenants &tenants) : tenants_(tenants) {}

  ServerUnaryReactor *Check(CallbackServerContext *context, const v1::CheckRequest *request,
                            v1::CheckResponse *response) override {
    ServerUnaryReactor *reactor = context->DefaultReactor();
    if (!tenants_.In(request->tenant())) {
      reactor->Finish(Status(StatusCode::NOT_FOUND, ""));
      return reactor;
    }
    response->set_allowed(true);
    response->set_reason(v1::DECISION_REASON_ROLE);
    response->set_role("reader");
    response->set_revision(20000);
    reactor->Finish(Status::OK);
    return reactor;
  }

 private:
  const Tenants &tenants_;
};

int main(int count, char **arguments) {
  if (count != 5 || strcmp(arguments[1], "--tenants") || strcmp(arguments[3], "--unix")) {
    fprintf(stderr, "usage: grpc_cpp --tenants N --unix PATH\n");
    return 2;
  }
  Tenants tenants(atoi(arguments[2]));
  Resolver resolver(tenants);
  Authorizer authorizer(tenants);
  grpc::ServerBuilder builder;
  builder.AddListeningPort(std::string("unix:") + arguments[4], grpc::InsecureServerCredentials());
  builder.RegisterService(&resolver);
  builder.RegisterService(&authorizer);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (!server) return 1;
  puts("ready");
  fflush(stdout);
  server->Wait();
}
