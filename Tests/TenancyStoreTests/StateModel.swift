import Tenancy

/// What changes make, in memory: the reference that stores are compared with.
struct StateModel: Equatable {
  struct Key: Hashable {
    let tenant: TenantID
    let id: String
  }
  struct RequestKey: Hashable {
    let actor, id: String
  }

  var revision: UInt64 = 0
  var tenants: [TenantID: Tenant] = [:]
  var names: [ReservedName: TenantID] = [:]
  var retired: Set<Slug> = []
  var roles: [Key: Role] = [:]
  var assignments: [Key: RoleAssignment] = [:]
  var steps: Set<Key> = []
  var requests: [RequestKey: RememberedRequest] = [:]

  mutating func apply(_ change: Change) {
    switch change {
    case .putTenant(let tenant): tenants[tenant.id] = tenant
    case .putRole(let tenant, let role): roles[Key(tenant: tenant, id: role.id)] = role
    case .deleteRole(let tenant, let id): roles[Key(tenant: tenant, id: id)] = nil
    case .putAssignment(let tenant, let assignment):
      assignments[Key(tenant: tenant, id: assignment.id)] = assignment
    case .deleteAssignment(let tenant, let id): assignments[Key(tenant: tenant, id: id)] = nil
    case .putProvisioningStep(let tenant, let name): steps.insert(Key(tenant: tenant, id: name))
    case .clearProvisioningSteps(let tenant): steps = steps.filter { $0.tenant != tenant }
    case .reserveName(let name, let tenant):
      names[name] = tenant
      if name.kind == .slug, let slug = Slug(parsing: name.text) { retired.remove(slug) }
    case .retireSlug(let slug, _): retired.insert(slug)
    case .rememberRequest(let request):
      requests[RequestKey(actor: request.actor, id: request.requestID)] = request
    case .forgetRequests(let moment): requests = requests.filter { $0.value.time >= moment }
    case .putSecret, .deleteSecret, .putDataKey: break  // No load gives them back.
    }
  }
}

/// SplitMix64: the same numbers in every run.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}

/// Makes valid batches without end, and knows the state that they make.
struct RandomHistory {
  private(set) var state = StateModel()
  /// Bytes of padding in a tenant's settings, to make large commits.
  var padding = 0

  mutating func nextBatch(using random: inout SeededGenerator) -> [LogEntry] {
    (0..<Int.random(in: 1...5, using: &random)).map { _ in
      state.revision += 1
      let changes = (0..<Int.random(in: 0...4, using: &random)).map { _ in
        nextChange(using: &random)
      }
      return LogEntry(
        revision: state.revision, time: Timestamp(nanoseconds: Int64(state.revision)),
        actor: "system", action: "test", tenant: state.tenants.keys.min(), changes: changes)
    }
  }

  private mutating func nextChange(using random: inout SeededGenerator) -> Change {
    let number = UInt64.random(in: 0..<32, using: &random)
    let change = makeChange(number, using: &random)
    state.apply(change)
    return change
  }

  private func makeChange(_ number: UInt64, using random: inout SeededGenerator) -> Change {
    var tenant = state.tenants[Sample.id(number)] ?? Sample.tenant(number)
    let id = "x\(Int.random(in: 0..<4, using: &random))"
    guard state.tenants[tenant.id] != nil else { return .putTenant(tenant) }
    switch Int.random(in: 0..<10, using: &random) {
    case 0: return .putRole(tenant.id, Sample.role(id))
    case 1: return .deleteRole(tenant.id, id: id)
    case 2: return .putAssignment(tenant.id, Sample.assignment(id))
    case 3: return .deleteAssignment(tenant.id, id: id)
    case 4: return .putProvisioningStep(tenant.id, name: id)
    case 5: return .clearProvisioningSteps(tenant.id)
    case 6: return .reserveName(ReservedName(.slug, "\(id)-\(number)"), tenant.id)
    case 7:
      return .rememberRequest(
        Sample.request(id, tenant: tenant.id, at: Int64(state.revision)))
    case 8:
      return .forgetRequests(before: Timestamp(nanoseconds: Int64(state.revision) - 5))
    default:
      tenant.version += 1
      tenant.state = TenantState.allCases.randomElement(using: &random) ?? .active
      tenant.configuration.customSettings["n"] = .number(Double(random.next()))
      tenant.configuration.customSettings["p"] = .string(String(repeating: "p", count: padding))
      return .putTenant(tenant)
    }
  }
}
