import TenancyTestSupport
import Testing

@testable import Tenancy

/// What values a declared setting takes.
struct SettingValueTests {
  private func definition(
    _ type: SettingDefinition.ValueType, _ change: (inout SettingDefinition) -> Void = { _ in }
  ) -> SettingDefinition {
    var definition = SettingDefinition(
      name: "s", type: type, createTime: Sample.moment, updateTime: Sample.moment)
    change(&definition)
    return definition
  }

  private static let samples: [SettingDefinition.ValueType: [JSONValue]] = [
    .string: [.string(""), .string("é")], .integer: [.number(-3), .number(9_007_199_254_740_992)],
    .number: [.number(-0.5), .number(1e300)], .bool: [.bool(true), .bool(false)],
    .duration: [.string("0s"), .string("250ms"), .string("30d")],
    .stringList: [.array([]), .array([.string("a"), .string("a")])],
  ]

  @Test(arguments: SettingDefinition.ValueType.allCases)
  func aTypeTakesItsOwnValuesOnly(_ type: SettingDefinition.ValueType) {
    for value in Self.samples[type] ?? [] {
      #expect(definition(type).problem(with: value) == nil, "\(value)")
    }
    let others: [JSONValue] = [.null, .object([:]), .array([.number(1)])]
    for value in others + Self.samples.filter({ $0.key != type }).flatMap(\.value) {
      let isTaken = definition(type).problem(with: value) == nil
      let isNumber = type == .number && definition(.integer).problem(with: value) == nil
      let isText = type == .string && definition(.duration).problem(with: value) == nil
      #expect(isTaken == (type == .json || isNumber || isText), "\(value)")
    }
  }

  @Test func anIntegerIsWhole() {
    for number in [0.5, 9_007_199_254_740_994, -9_007_199_254_740_994, .infinity, .nan] {
      #expect(definition(.integer).problem(with: .number(number)) != nil, "\(number)")
    }
  }

  @Test func aRangeHasItsEnds() {
    for type in [SettingDefinition.ValueType.integer, .number] {
      let ranged = definition(type) { ($0.minimum, $0.maximum) = (1, 3) }
      #expect(ranged.problem(with: .number(0)) == "must be at least 1")
      #expect(ranged.problem(with: .number(1)) == nil && ranged.problem(with: .number(3)) == nil)
      #expect(ranged.problem(with: .number(4)) == "must be at most 3")
    }
    let span = definition(.duration) { ($0.minimum, $0.maximum) = (1, 60) }
    #expect(span.problem(with: .string("999ms")) == "must be at least 1 seconds")
    #expect(span.problem(with: .string("1m")) == nil)
    #expect(span.problem(with: .string("61s")) == "must be at most 60 seconds")
  }

  @Test(arguments: [
    "", "s", "5", "-1s", "+1s", "1.5h", " 1s", "1s ", "1S", "1 s", "1w", "36501d",
    "99999999999999999999s", "1e3s", "１s",
  ])
  func whatIsNoDuration(_ text: String) {
    #expect(SettingDuration.seconds(text) == nil)
    #expect(definition(.duration).problem(with: .string(text)) != nil)
  }

  @Test func durationsInSeconds() {
    #expect(SettingDuration.seconds("250ms") == 0.25 && SettingDuration.seconds("90s") == 90)
    #expect(SettingDuration.seconds("5m") == 300 && SettingDuration.seconds("2h") == 7_200)
    #expect(SettingDuration.seconds("36500d") == SettingDuration.maximumSeconds)
  }

  @Test func lengths() {
    let text = definition(.string) { ($0.minimumLength, $0.maximumLength) = (2, 3) }
    #expect(text.problem(with: .string("é")) != nil && text.problem(with: .string("éé")) == nil)
    #expect(text.problem(with: .string("éééé")) == "must have at most 3 characters")
    let list = definition(.stringList) { ($0.minimumLength, $0.maximumLength) = (1, 2) }
    let item = JSONValue.string("a")
    #expect(list.problem(with: .array([])) == "must have at least 1 elements")
    #expect(list.problem(with: .array([item, item])) == nil)
    #expect(list.problem(with: .array([item, item, item])) == "must have at most 2 elements")
  }

  @Test func onlyWhatIsAllowed() {
    let color = definition(.string) { $0.allowedValues = ["red", "gr\u{FC}n"] }
    #expect(color.problem(with: .string("red")) == nil)
    #expect(color.problem(with: .string("blue")) == "must be one of red, grün")
    // Equal in Swift, and other bytes.
    #expect(color.problem(with: .string("gru\u{308}n")) != nil)
    let colors = definition(.stringList) { $0.allowedValues = ["red", "gr\u{FC}n"] }
    #expect(colors.problem(with: .array([.string("red"), .string("gr\u{FC}n")])) == nil)
    #expect(
      colors.problem(with: .array([.string("red"), .string("gru\u{308}n")]))
        == "[1] must be one of red, grün")
  }

  @Test func aSecretHasNoValue() {
    for type in SettingDefinition.ValueType.allCases {
      let secret = definition(type) { $0.isSecret = true }
      for value in (Self.samples[type] ?? []) + [.null] {
        #expect(
          secret.problem(with: value)
            == "is a secret, and settings are stored in the clear: see secret_values")
      }
    }
  }
}
