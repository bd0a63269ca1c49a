import Foundation
import Tenancy
import Testing

@testable import tenantd

/// The section `rate_limits` of the configuration.
@Suite("Rate limits in the configuration") struct RateLimitConfigurationTests {
  private static func limits(_ section: String) throws -> RateLimitSettings {
    let file = """
      {data_directory: "/x", listeners: [{unix: "/x/socket"}], identity: {unix_users: []},
       \(section)}
      """
    return try Configuration(json5: Data(file.utf8), file: "x.json5").rateLimits
  }

  private static let small = #"{name: "small", limits: [{requests: 5, per: "second"}]}"#

  @Test func plansAreRead() throws {
    let read = try Self.limits(
      #"""
      rate_limits: {domain: "edge", default_plan: "small", plans: [
        {name: "small", limits: [{requests: 5, per: "second", burst: 7}, {requests: 9, per: "month"}]},
        {name: "large", limits: [{name: "requests", requests: 50, per: "hour"}]},
      ]}
      """#)
    #expect(read.domain == "edge" && read.plans.usual == "small")
    let small = try #require(read.plans.limits(of: nil))
    #expect(small.map(\.requests) == [5, 9] && small.map(\.burst) == [7, 9])
    #expect(small.map(\.period) == [.second, .month])
    #expect(read.plans.limits(of: LimitSettings(plan: "large"))?.map(\.requests) == [50])
    #expect(read.plans.limits(of: LimitSettings(plan: "other")) == nil)
  }

  @Test func withoutPlansThereIsAUsualOne() throws {
    let read = try Self.limits("")
    #expect(read.domain == "tenancy")
    #expect(read.plans.limits(of: nil)?.map(\.burst) == [100_000])
  }

  @Test(arguments: [
    ("{}", "default_plan is required"),
    (#"{default_plan: "x"}"#, "default_plan: is none of the plans"),
    (#"{default_plan: "small", domain: "", plans: [\#(small)]}"#, "domain: a text is expected"),
    (#"{default_plan: "small", plans: [\#(small), \#(small)]}"#, "two are called small"),
    (#"{default_plan: "small", plans: [\#(small), {name: "X", limits: []}]}"#, "a plan's name is"),
    (#"{default_plan: "x", plans: [{name: "x", limits: []}]}"#, "plans.x: 1 to 16 limits"),
    (
      #"{default_plan: "x", plans: [{name: "x", limits: [{requests: 1, per: "week"}]}]}"#,
      "per: one of second, minute, hour, day, month, year is expected"
    ),
    (
      #"{default_plan: "x", plans: [{name: "x", limits: [{requests: 0, per: "day"}]}]}"#,
      "rate_limits.plans[0].limits[0].requests: a number from 1 to 1000000000 is expected"
    ),
    (
      #"{default_plan: "x", plans: [{name: "x", limits: [{requests: 2, per: "day", burst: 1}]}]}"#,
      "rate_limits.plans[0].limits[0].limit.burst: only for limits"
    ),
    (
      #"{default_plan: "x", plans: [{name: "x", limits: [{requests: 2, per: "day", name: "A"}]}]}"#,
      "limit.name"
    ),
    (
      #"""
      {default_plan: "small", plans: [\#(small), {name: "y", limits: [
        {requests: 2, per: "day"}, {name: "uploads", requests: 2, per: "day"}]}]}
      """#, "plans.small: has no limit called uploads"
    ),
  ])
  func whatIsNoneIsRefused(_ section: String, _ why: String) {
    let error = #expect(throws: ConfigurationError.self) {
      try Self.limits("rate_limits: \(section)")
    }
    #expect(error?.description.contains(why) ?? false, "\(error?.description ?? "")")
  }
}
