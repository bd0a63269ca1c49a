import Foundation
import TenancyRPC
import Testing

@testable import tenantd

/// The section `limits` of the configuration.
@Suite("Limits in the configuration") struct LimitConfigurationTests {
  private static func limits(_ section: String) throws -> ServerLimits {
    let file = """
      {data_directory: "/x", listeners: [{unix: "/x/socket"}], identity: {unix_users: []},
       limits: {\(section)}}
      """
    return try Configuration(json5: Data(file.utf8), file: "x.json5").limits
  }

  @Test(arguments: ServerLimits.settings)
  func eachLimitIsRead(_ setting: LimitSetting) throws {
    var expected = ServerLimits()
    let value = setting.value(in: expected).map { $0 + 1 } ?? setting.range.lowerBound
    try setting.set(value, in: &expected)
    #expect(try Self.limits("\(setting.name): \(value)") == expected)
  }

  @Test(arguments: ServerLimits.settings)
  func onePastEitherEndIsRefused(_ setting: LimitSetting) {
    let range = setting.range
    for value in [range.lowerBound - 1, range.upperBound + 1] {
      let error = #expect(throws: ConfigurationError.self) {
        try Self.limits("\(setting.name): \(value)")
      }
      let bounds = "from \(range.lowerBound) to \(range.upperBound)"
      #expect(
        error?.description
          == "x.json5: limits.\(setting.name): a number \(bounds) is expected")
    }
  }

  @Test func limitsThatDoNotFitTogetherAreRefused() {
    let error = #expect(throws: ConfigurationError.self) {
      try Self.limits("header_burst: 2048")
    }
    #expect(
      error?.description
        == "x.json5: limits.header_burst: less than header_list_bytes")
  }
}
