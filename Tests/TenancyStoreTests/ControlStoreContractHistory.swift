import Tenancy
import TenancyTestSupport
import Testing

/// What the checks of histories are made of.
enum ContractHistory {
  static let owner = ConfigurationOwner.tenant(Sample.id(1))

  static func edit(
    _ owner: ConfigurationOwner = owner, _ value: JSONValue? = .string("\"é\u{2028}"),
    request: String = ""
  ) -> ConfigurationEdit {
    ConfigurationEdit(
      owner: owner,
      edits: [
        SettingEdit(field: "custom_settings.a/b", before: nil, after: value),
        SettingEdit(field: "feature_flags.é", before: .null, after: nil),
      ], request: request)
  }

  static func entry(
    _ revision: UInt64, _ changes: [Change] = [], _ history: [ConfigurationEdit]
  ) -> LogEntry {
    LogEntry(
      revision: revision, time: Timestamp(nanoseconds: Int64(revision)), actor: "uid:0",
      action: "test", tenants: [], changes: changes, history: history)
  }
}

/// The checks of histories of configurations.
extension ControlStoreContract {
  static let history = [
    ControlStoreContract("a history comes back, is in no log, and ends with its owner") { open in
      let (owner, plan) = (ContractHistory.owner, ConfigurationOwner.plan("gold"))
      let nested = JSONValue.array([.null, .object(["k": .number(0.1)])])
      let edits = [
        ContractHistory.edit(request: "r"), ContractHistory.edit(owner, nested),
        ContractHistory.edit(plan),
      ]
      var tenant = Sample.tenant(1)
      try withStore(open) { (store) throws in
        #expect(try store.configurationHistoryBegin() == 0)
        #expect(try store.configurationHistory(of: owner, before: nil, limit: 5).isEmpty)
        try store.append([
          ContractHistory.entry(1, [.putTenant(tenant)], [edits[0]]),
          ContractHistory.entry(
            2, [.putConfigurationItem(ContractConfiguration.plan("gold"))], [edits[1], edits[2]]),
        ])
        #expect(try store.entries(after: 0, limit: 5).allSatisfy { $0.history.isEmpty })
      }
      try withStore(open) { (store) throws in
        let all = try store.configurationHistory(of: owner, before: nil, limit: 5)
        #expect(all.map(\.revision) == [2, 1] && all.map(\.request) == ["", "r"])
        #expect(all.map(\.edits) == [edits[1].edits, edits[0].edits])
        #expect(all.map(\.place) == [edits[0].bytes + edits[1].bytes, edits[0].bytes])
        #expect(all.map(\.isFirst) == [false, true])
        #expect(all.map(\.actor) == ["uid:0", "uid:0"] && all.map(\.time.nanoseconds) == [2, 1])
        #expect(try store.configurationHistory(of: owner, before: nil, limit: 1) == [all[0]])
        #expect(
          try store.configurationHistory(of: owner, before: all[0].place, limit: 5) == [all[1]])
        #expect(try store.configurationHistory(of: plan, before: nil, limit: 5).count == 1)
        tenant.state = .purged
        (tenant.deleteTime, tenant.purgeTime) = (tenant.createTime, tenant.createTime)
        try store.append([
          ContractHistory.entry(
            3, [.putTenant(tenant), .deleteConfigurationItem(.plan, id: "gold")], [])
        ])
        for owner in [owner, plan] {
          #expect(try store.configurationHistory(of: owner, before: nil, limit: 5).isEmpty)
        }
      }
    },
    ControlStoreContract("a history is bounded, and its newest entry stays") { open in
      let owner = ContractHistory.owner
      let large = JSONValue.string(String(repeating: "x", count: 100_000))
      try withStore(open) { (store) throws in
        try store.append([
          ContractHistory.entry(1, [.putTenant(Sample.tenant(1))], [])
        ])
        for revision in 2...12 {
          try store.append([
            ContractHistory.entry(UInt64(revision), [], [ContractHistory.edit(owner, large)])
          ])
        }
        var (found, place): ([RecordedEdit], UInt64?) = ([], nil)
        while true {
          let page = try store.configurationHistory(of: owner, before: place, limit: 100)
          guard let last = page.last else { break }
          found += page
          place = last.place
        }
        #expect(found.map(\.revision) == [12, 11, 10, 9, 8, 7])
        #expect(found.allSatisfy { !$0.isFirst })
        #expect(found.reduce(0) { $0 + $1.bytes } < ConfigurationEdit.maximumBytes + 200_000)
        let huge = JSONValue.string(String(repeating: "x", count: 600_000))
        try store.append([ContractHistory.entry(13, [], [ContractHistory.edit(owner, huge)])])
        let rest = try store.configurationHistory(of: owner, before: nil, limit: 100)
        #expect(rest.map(\.revision) == [13])
      }
    },
  ]
}
