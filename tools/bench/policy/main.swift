import Glibc
import Tenancy

// What questions to policies cost in process: `tools/bench/run --authorization`. Prints one line of JSON for each.

/// CPU time of this process, in nanoseconds.
private func cpu() -> UInt64 {
  var time = timespec()
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
  return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// Allocations so far, if the counting library is preloaded.
private let allocations: (@convention(c) () -> UInt64)? = {
  guard let symbol = dlsym(nil, "tenancy_allocations") else { return nil }
  return unsafeBitCast(symbol, to: (@convention(c) () -> UInt64).self)
}()

private let moment = Timestamp(nanoseconds: 1_800_000_000 * 1_000_000_000)

private func role(
  _ id: String, _ permissions: [String], denials: [String] = [], parents: [String] = []
) -> Role {
  Role(
    id: id, title: "", summary: "", permissions: permissions, denials: denials, parents: parents,
    version: 1, createTime: moment, updateTime: moment)
}

private func assignment(
  _ number: Int, _ subject: String, _ role: String, terms: RoleAssignment.Terms = .init()
) -> RoleAssignment {
  RoleAssignment(
    id: "01a00000-0000-7000-8000-\(10_000_000_0000 + number)", subject: subject, role: role,
    terms: terms, createTime: moment, expireTime: nil)
}

private struct Shape {
  let name: String
  var denials: [String] = []
  var isInherited = false
  var terms = RoleAssignment.Terms()
}

/// 100 users with 5 of 20 roles of 20 permissions each.
private func policy(_ shape: Shape) -> TenantPolicy {
  var policy = TenantPolicy()
  for number in 0..<20 {
    let permissions = (0..<20).map { "type\(number):action\($0)" }
    if shape.isInherited {
      policy.put(role("base-\(number)", permissions))
      policy.put(role("role-\(number)", [], denials: shape.denials, parents: ["base-\(number)"]))
    } else {
      policy.put(role("role-\(number)", permissions, denials: shape.denials))
    }
  }
  for user in 0..<100 {
    for held in 0..<5 {
      policy.put(
        assignment(
          user * 5 + held, "user:\(user)", "role-\((user + held * 4) % 20)", terms: shape.terms))
    }
  }
  return policy
}

/// Questions that are allowed and such that are not, half and half, each to one of the tenants.
private func ask(_ policies: [TenantPolicy], _ attributes: RequestAttributes, _ rounds: Int)
  -> (nanoseconds: Double, allocations: Double, allowed: Double)
{
  let subjects = (0..<100).map { Array("user:\($0)".utf8) }
  let questions = (0..<400).map { Array("type\($0 / 20):action\($0 % 20)".utf8) }
  let resource = Array("a/1".utf8)
  var (random, allowed) = (UInt64(1), 0)
  let (start, before) = (cpu(), allocations?() ?? 0)
  for _ in 0..<rounds {
    random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    let bits = Int(random >> 33)
    let user = bits % 100
    // Of one that the user has, or of the one behind it.
    let type = (user + 4 * (bits / 100 % 5) + bits / 500 % 2) % 20
    let (text, subject) = (questions[type * 20 + bits / 1000 % 20], subjects[user])
    let question = text.span.bytes
    guard let colon = Permission.colon(in: question) else { continue }
    var (attributes, budget) = (attributes, WorkBudget(visits: 100_000))
    let decision = policies[bits % policies.count].decide(
      Question(
        subject: subject.span.bytes, permission: question, colon: colon,
        resource: resource.span.bytes, now: moment), &attributes, &budget)
    if case .allowed = decision { allowed += 1 }
  }
  return (
    Double(cpu() - start) / Double(rounds), Double((allocations?() ?? 0) - before) / Double(rounds),
    Double(allowed) / Double(rounds)
  )
}

private func show(_ name: String, _ tenants: Int, _ attributes: RequestAttributes, _ shape: Shape) {
  let policies = (0..<tenants).map { _ in policy(shape) }
  _ = ask(policies, attributes, 200_000)
  let found = ask(policies, attributes, 2_000_000)
  print(
    """
    {"case": "\(name)", "tenants": \(tenants), "nanoseconds": \(found.nanoseconds), \
    "checks_per_second": \(Int(1e9 / found.nanoseconds)), \
    "allocations": \(allocations == nil ? "null" : "\(found.allocations)"), \
    "allowed": \(found.allowed)}
    """)
}

private let none = RequestAttributes()
for tenants in [10, 1_000, 10_000] { show("roles", tenants, none, Shape(name: "roles")) }
show("inherited roles", 1_000, none, Shape(name: "inherited", isInherited: true))
show("roles that deny", 1_000, none, Shape(name: "denials", denials: ["type99:*"]))
show(
  "one scope", 1_000, none,
  Shape(name: "scope", terms: .init(scope: ResourceScope(parsing: "type1/a/*"))))
show(
  "one condition", 1_000,
  RequestAttributes(
    resource: AttributeMap(["owner": .string("user:1")], weight: 32),
    context: AttributeMap(["mfa": .bool(true)], weight: 16)),
  Shape(
    name: "condition",
    terms: .init(condition: "context.mfa && resource.attributes.owner != subject.id")))

// A change of a policy that has many assignments.
for count in [1_000, 100_000, 1_000_000] {
  var large = policy(Shape(name: "large"))
  for number in 0..<count {
    large.put(assignment(1_000_000 + number, "user:\(1000 + number / 4)", "role-\(number % 20)"))
  }
  let start = cpu()
  for number in 0..<1_000 {
    // Others have what was there before, as in the server.
    let former = large
    large.put(assignment(9_000_000 + number, "user:\(1000 + number)", "role-3"))
    withExtendedLifetime(former) {}
  }
  let each = Double(cpu() - start) / 1000
  print(
    "{\"case\": \"a change\", \"assignments\": \(count), \"microseconds\": \(each / 1000)}")
}
