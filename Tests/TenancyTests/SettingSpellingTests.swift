import TenancyTestSupport
import Testing

@testable import Tenancy

/// What is equal in Swift and not in its bytes: nobody gets around what is declared with it.
struct SettingSpellingTests {
  private static let sign = "\u{212A}"
  private let catalog: ConfigurationCatalog

  init() {
    var catalog = ConfigurationCatalog()
    func define(_ name: String, _ change: (inout SettingDefinition) -> Void) {
      var definition = SettingDefinition(
        name: name, type: .string, createTime: Sample.moment, updateTime: Sample.moment)
      change(&definition)
      catalog.put(.setting(definition))
    }
    define("K") { _ in }
    define("unit") { ($0.editor, $0.allowedValues) = (.tenant, ["K"]) }
    define("units") { ($0.editor, $0.type) = (.platform, .json) }
    catalog.put(
      .flag(FeatureFlag(name: "aK", createTime: Sample.moment, updateTime: Sample.moment)))
    self.catalog = catalog
  }

  private func fields(
    _ settings: [String: JSONValue], from former: [String: JSONValue] = [:],
    flags: [String: Bool] = [:], formerFlags: [String: Bool] = [:], isPlatform: Bool = false
  ) -> [String] {
    func configuration(
      _ settings: [String: JSONValue], _ flags: [String: Bool]
    ) -> TenantConfiguration {
      var configuration = TenantConfiguration()
      (configuration.customSettings, configuration.featureFlags) = (settings, flags)
      return configuration
    }
    var checks = FieldChecks()
    do throws(TenancyError) {
      try catalog.check(
        configuration(settings, flags), from: configuration(former, formerFlags),
        isPlatform: isPlatform, &checks)
      try checks.finish()
      return []
    } catch {
      return error.violations.map(\.field)
    }
  }

  @Test(arguments: [true, false])
  func aKeyThatStandsForADeclaredOneIsRefused(_ isPlatform: Bool) {
    let (one, other): ([String: JSONValue], _) = (["K": "a"], [Self.sign: JSONValue.string("b")])
    let field = "configuration.custom_settings.K"
    #expect(fields(other, isPlatform: isPlatform) == [field])
    #expect(
      fields(other, from: one, isPlatform: isPlatform) == ["configuration.custom_settings"])
    #expect(
      fields([Self.sign: "a"], from: one, isPlatform: isPlatform)
        == ["configuration.custom_settings"])
    #expect(
      fields([:], flags: ["a\(Self.sign)": true], isPlatform: isPlatform)
        == ["configuration.feature_flags.aK"])
    #expect(
      fields([:], flags: ["a\(Self.sign)": true], formerFlags: ["aK": true])
        == ["configuration.feature_flags"])
    // What was there before the name was declared stays, and is the platform's to take away.
    #expect(fields(other, from: other).isEmpty)
    #expect(fields([:], from: other, isPlatform: isPlatform) == (isPlatform ? [] : [field]))
    #expect(fields(["e\u{301}": "a"], from: ["\u{E9}": "a"]) == ["configuration.custom_settings"])
  }

  @Test func aValueInOtherBytesIsAnother() {
    let (plain, sign) = (JSONValue.string("K"), JSONValue.string(Self.sign))
    #expect(fields(["unit": plain], from: ["unit": plain]).isEmpty)
    #expect(
      fields(["unit": sign], from: ["unit": plain]) == ["configuration.custom_settings.unit"])
    let values: [(JSONValue) -> JSONValue] = [
      { $0 }, { .array([.null, $0]) }, { .object(["a": .array([$0])]) },
    ]
    for value in values {
      #expect(fields(["units": value(plain)], from: ["units": value(plain)]).isEmpty)
      #expect(
        fields(["units": value(sign)], from: ["units": value(plain)])
          == ["configuration.custom_settings.units"])
    }
    #expect(
      fields(["units": .object([Self.sign: .null])], from: ["units": .object(["K": .null])])
        == ["configuration.custom_settings.units"])
  }

  /// The only character of which declared names have to know.
  @Test func theKelvinSignAloneStandsForAnother() {
    let names = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
    let plain = Set(names.unicodeScalars.map { String($0) })
    let found = (UInt32(0x80)...0x2_FFFF).compactMap(Unicode.Scalar.init)
      .filter { plain.contains(String($0)) }
    #expect(found == ["\u{212A}"])
  }
}
