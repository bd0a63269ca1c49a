import Logging
import Synchronization
import Tenancy
import TenancyContext
import Testing

enum Sample {
  static func context(_ number: UInt8, subject: String? = nil) -> TenantContext {
    let id = TenantID.generate(atMilliseconds: 1_000 * UInt64(number) + 1)
    return TenantContext(
      tenant: TenantDetails(id: id, slug: "tenant-\(number)", epoch: 1), subject: subject,
      authorizer: Rules(tenant: id))
  }

  struct Rules: TenantAuthorizer {
    let tenant: TenantID

    func isAllowed(_ question: TenantQuestion) async throws -> Bool {
      if question.permission == "broken:one" { throw Unknown() }
      return question.tenant == tenant && question.subject == "user:ann"
        && question.permission == "docs:read" && ["", "7"].contains(question.resource)
    }
  }

  struct Unknown: Error {}

  struct AnyTenant: TenantAuthorizer {
    func isAllowed(_ question: TenantQuestion) async throws -> Bool { true }
  }
}

struct TenantContextTests {
  private let one = Sample.context(1, subject: "user:ann")
  private let two = Sample.context(2)

  // MARK: Scopes

  @Test func thereIsNoneUnlessItIsGiven() async throws {
    #expect(TenantContext.current == nil && !TenantContext.isPresent)
    let line = #line + 1
    let error = #expect(throws: TenantContextError.self) { try TenantContext.require() }
    let place = TenantContextError.Place(
      file: "TenancyContextTests/TenantContextTests.swift", line: UInt(line))
    #expect(error == .missing(at: place))
    #expect(error?.description.contains("carrying") == true)
  }

  @Test func scopesNestAndRestore() async throws {
    try await TenantContext.with(one) {
      await Task.yield()
      #expect(TenantContext.current?.tenant == one.tenant && TenantContext.isPresent)
      try TenantContext.with(two) {
        #expect(try TenantContext.require().tenant == two.tenant)
        try TenantContext.without { #expect(TenantContext.current == nil) }
        #expect(try TenantContext.require().tenant == two.tenant)
      }
      #expect(throws: Sample.Unknown.self) {
        try TenantContext.with(two) { throw Sample.Unknown() }
      }
      #expect(try TenantContext.require().tenant == one.tenant)
      try TenantContext.with(two) { #expect(TenantContext.current?.tenant == two.tenant) }
      try TenantContext.without { #expect(!TenantContext.isPresent) }
      #expect(try TenantContext.require().tenant == one.tenant)
    }
    #expect(TenantContext.current == nil)
  }

  @Test func aUnitOfWorkStaysWithItsTenant() async throws {
    await #expect(throws: TenantContextError.self) {
      try await TenantContext.locked { _ in
        await Task.yield()
        Issue.record("there is no tenant")
      }
    }
    try await TenantContext.with(one) {
      try await TenantContext.locked { context in
        #expect(context.tenant == one.tenant)
        let refusal = TenantContextError.locked(to: one.tenant.id, asked: two.tenant.id)
        await #expect(throws: refusal) { try await TenantContext.with(two) { await Task.yield() } }
        #expect(throws: refusal) { try TenantContext.with(two) {} }
        await #expect(throws: TenantContextError.locked(to: one.tenant.id, asked: nil)) {
          try await TenantContext.without { await Task.yield() }
        }
        // Of the same tenant another may come, and it is locked as well.
        try await TenantContext.with(one.acting(for: "user:bob")) {
          let subject = try TenantContext.require().subject
          #expect(subject == "user:bob")
          await #expect(throws: refusal) {
            try await TenantContext.with(two) { await Task.yield() }
          }
        }
        await withTaskGroup(of: Void.self) { group in
          group.addTask {
            await #expect(throws: refusal) {
              try await TenantContext.with(two) { await Task.yield() }
            }
          }
        }
      }
      try TenantContext.with(two) { #expect(TenantContext.current?.tenant == two.tenant) }
    }
  }

  // MARK: Members

  @Test func nobodyMayWithoutAsking() async throws {
    let anybody = TenantContext(tenant: one.tenant, authorizer: Sample.AnyTenant())
    let asked: [(TenantContext, String, String, Bool)] = [
      (one, "docs:read", "", true), (one, "docs:read", "7", true), (one, "docs:read", "8", false),
      (one, "docs:write", "", false), (one.acting(for: "user:bob"), "docs:read", "", false),
      (two, "docs:read", "", false), (anybody, "docs:read", "", false),
      (anybody.acting(for: "user:ann"), "docs:read", "", true),
      (TenantContext(tenant: one.tenant, subject: "user:ann"), "docs:read", "", false),
    ]
    for (context, permission, resource, expected) in asked {
      let may = try await context.has(permission, on: resource)
      #expect(may == expected)
    }
    await #expect(throws: Sample.Unknown.self) { try await one.has("broken:one") }
    try await one.demand("docs:read")
    await #expect(throws: TenantContextError.denied(permission: "docs:write")) {
      try await one.demand("docs:write")
    }
  }

  @Test func valuesHaveTypesAndDefaults() {
    let values = TenantValues(
      settings: [
        "text": .string("x"), "yes": .bool(true), "half": .number(0.5), "seven": .number(7),
        "list": .array([.string("a"), .string("b")]), "mixed": .array([.string("a"), .null]),
        "huge": .number(1e300),
      ], flags: ["beta"])
    let context = TenantContext(tenant: one.tenant, configuration: values)
    #expect(context.value(TenantSetting("text", default: "")) == "x")
    #expect(context.value(TenantSetting("yes", default: false)))
    #expect(context.value(TenantSetting("half", default: 1.0)) == 0.5)
    #expect(context.value(TenantSetting("seven", default: 1)) == 7)
    #expect(context.value(TenantSetting("list", default: [])) == ["a", "b"])
    // Of another type, or not there.
    for name in ["text", "half", "huge", "none"] {
      #expect(context.value(TenantSetting(name, default: 3)) == 3)
    }
    #expect(context.value(TenantSetting("mixed", default: ["d"])) == ["d"])
    #expect(!context.value(TenantSetting("text", default: false)))
    #expect(context.isEnabled("beta") && !context.isEnabled("alpha"))
    #expect(values["yes"] == .bool(true) && values["none"] == nil)
  }

  // MARK: Logs

  @Test func messagesSayForWhichTenant() throws {
    let provider = Logger.MetadataProvider.tenant
    #expect(provider.get().isEmpty)
    try TenantContext.with(one) {
      #expect(provider.get() == ["tenant.id": "\(one.tenant.id)", "tenant.slug": "tenant-1"])
    }
  }
}

/// By itself: it listens to the whole process.
@Suite(.serialized) struct TenantContextLossTests {
  @Test func whatLosesItIsFound() async throws {
    let losses = TenantContextLosses()
    defer { losses.close() }
    let mine = { losses.places.filter { $0.file.hasSuffix("/Losing.swift") } }
    try await TenantContext.with(Sample.context(1)) {
      await Task.detached { _ = try? TenantContext.require(file: "M/Losing.swift", line: 7) }.value
      _ = try TenantContext.require(file: "M/Losing.swift", line: 8)
    }
    #expect(mine() == [TenantContextError.Place(file: "M/Losing.swift", line: 7)])
    losses.close()
    _ = try? TenantContext.require(file: "M/Losing.swift", line: 9)
    #expect(mine().count == 1)
  }
}
