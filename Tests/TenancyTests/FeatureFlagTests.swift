import TenancyTestSupport
import Testing

@testable import Tenancy

/// Declared feature flags: what can be one, for whom it is on, and who says otherwise.
struct FeatureFlagTests {
  private let test: TestPlane
  private let commands: FlagCommands
  private let id = Sample.id(1)

  init() throws {
    test = try TestPlane()
    commands = FlagCommands(test.plane, actor: "alice", judge: .server)
  }

  private var catalog: ConfigurationCatalog { test.plane.state.catalog }

  private func flag(_ name: String, _ change: (inout FeatureFlag) -> Void = { _ in }) -> FeatureFlag
  {
    var flag = FeatureFlag(
      name: name, createTime: Timestamp(nanoseconds: 0), updateTime: Timestamp(nanoseconds: 0))
    change(&flag)
    return flag
  }

  @Test func oneIsDeclaredChangedAndGone() async throws {
    let made = try await commands.create(flag("beta") { $0.rollout = 500 })
    #expect(made.salt == "beta" && catalog.flag("beta") == made && made.isSound)
    #expect(test.store.log.last?.changes == [.putConfigurationItem(.flag(made))])
    let changed = try await commands.update("beta", etag: "v1") { $0.rollout = 1_000 }
    #expect(changed.version == 2 && changed.rollout == 1_000)
    let again = await refusal { () async throws(TenancyError) in
      try await commands.create(flag("beta"))
    }
    #expect(again?.reason == .featureFlagExists)
    try await commands.delete("beta", etag: "v2")
    #expect(!catalog.hasFlags)
    let gone = await refusal { () async throws(TenancyError) in
      try await commands.delete("beta", etag: "")
    }
    #expect(gone?.reason == .featureFlagNotFound)
  }

  @Test func whatIsNoFlag() async {
    func fields(
      _ name: String = "f", _ change: (inout FeatureFlag) -> Void = { _ in }
    ) async -> [String] {
      let new = flag(name, change)
      let error = await refusal { () async throws(TenancyError) in try await commands.create(new) }
      return error?.violations.map(\.field) ?? []
    }
    #expect(await fields("1") == ["feature_flag_id"])
    #expect(await fields { $0.rollout = 10_001 } == ["feature_flag.rollout_basis_points"])
    #expect(await fields { $0.salt = "a/b" } == ["feature_flag.salt"])
    #expect(
      await fields { $0.salt = String(repeating: "x", count: 129) } == ["feature_flag.salt"])
    // The usual salt of the longest name.
    #expect(await fields(String(repeating: "x", count: 128)) == [])
    #expect(await fields { $0.tenants = ["acme"] } == ["feature_flag.tenants[0]"])
    #expect(await fields { $0.subjects = ["user:a", ""] } == ["feature_flag.subjects[1]"])
    #expect(
      await fields { $0.subjects = (0...256).map { "user:\($0)" } } == ["feature_flag.tenants"])
  }

  @Test func thereAreOnlySoMany() async throws {
    for number in 0..<FeatureFlag.maximumCount { _ = try await commands.create(flag("f\(number)")) }
    let error = await refusal { () async throws(TenancyError) in
      try await commands.create(flag("more"))
    }
    #expect(error?.reason == .limitReached && error?.metadata["quota"] == "feature-flags")
  }

  @Test func theListedAreInWhateverTheRollout() {
    let none: ([UInt8]) -> [UInt8] = { _ in [UInt8](repeating: 0, count: 32) }
    let listed = flag("f") {
      $0.tenants = [id.description]
      $0.subjects = ["user:al"]
    }
    #expect(listed.evaluate(id, "", digest: none) == .listed)
    #expect(listed.evaluate(id, "user:x", digest: none) == .listed)
    #expect(listed.evaluate(Sample.id(2), "user:al", digest: none) == .listed)
    let other = listed.evaluate(Sample.id(2), "user:x", digest: none)
    #expect(other == .rollout(bucket: 0, isOn: false))
  }

  @Test func aBucketIsMadeOfSaltTenantAndSubject() {
    var asked: [String] = []
    func evaluate(_ rollout: UInt32, _ subject: String) -> FeatureFlag.Outcome {
      flag("f") { $0.rollout = rollout }.evaluate(id, subject) { bytes in
        asked.append(String(decoding: bytes, as: UTF8.self))
        // 0x00000000_00012345 is 74565, and the rest does not count.
        return [0, 0, 0, 0, 0, 1, 0x23, 0x45, 9, 9]
      }
    }
    #expect(evaluate(4_565, "user:al") == .rollout(bucket: 4_565, isOn: false))
    #expect(evaluate(4_566, "") == .rollout(bucket: 4_565, isOn: true))
    #expect(asked == ["f/\(id)/user:al", "f/\(id)/"])
  }

  @Test func whoMaySayOtherwise() async throws {
    var tenant = Sample.tenant(1)
    tenant.configuration.shared = SharedConfiguration(tenantIdentifier: "t")
    try await test.put(tenant)
    _ = try await commands.create(flag("paid"))
    _ = try await commands.create(flag("dark") { $0.editor = .tenant })
    func set(_ flags: [String: Bool], platform: Bool) async throws(TenancyError) {
      var update = TenantCommands.Update(etag: "", mayMove: platform)
      update.configuration = { (before) throws(TenancyError) in
        var after = before
        after.featureFlags = flags
        return after
      }
      _ = try await TenantCommands(test.plane, actor: "alice").update(
        id, update, action: "tenants.configure")
    }
    try await set(["dark": true, "free": true], platform: false)
    let error = await refusal { () async throws(TenancyError) in
      try await set(["dark": true, "paid": true], platform: false)
    }
    #expect(error?.reason == .settingNotOwn)
    #expect(error?.violations.map(\.field) == ["configuration.feature_flags.paid"])
    try await set(["paid": true], platform: true)
    let taken = await refusal { () async throws(TenancyError) in try await set([:], platform: false)
    }
    #expect(taken?.reason == .settingNotOwn)
  }
}
