import Tenancy
import Testing

@testable import TenancyWire

@Suite struct JSONTests {
  @Test func tenant() {
    var tenant = Samples.tenant
    tenant.configuration?.customSettings = ["limit": .number(10), "ratio": .number(0.5)]
    let expected = """
      {
        "configuration": {
          "customSettings": {
            "limit": 10,
            "ratio": 0.5
          },
          "database": {
            "connectionString": "db",
            "passwordSet": true,
            "username": "u"
          },
          "featureFlags": {
            "": true,
            "beta": true,
            "legacy": false
          },
          "schema": {
            "schemaName": "acme"
          },
          "shared": {}
        },
        "createTime": "2026-01-31T09:30:00.250Z",
        "displayName": "Acme – Zürich",
        "epoch": "18446744073709551615",
        "etag": "e1",
        "id": "0190",
        "isolationModel": "ISOLATION_MODEL_HYBRID",
        "name": "tenants/0190",
        "purgeTime": "1969-12-31T23:59:59.000000001Z",
        "slug": "acme",
        "state": "TENANT_STATE_ACTIVE"
      }
      """
    #expect(tenant.json().text(pretty: true) == expected)
  }

  @Test func defaultsAreOmitted() {
    #expect(V1.Tenant().json().text() == "{}")
    #expect(V1.WhoAmIRequest().json().text(pretty: true) == "{}")
    #expect(V1.Tenant(state: .init(rawValue: 42)).json().text() == #"{"state":42}"#)
  }

  @Test(arguments: [
    (0, 0, "1970-01-01T00:00:00Z"),
    (951_782_400, 0, "2000-02-29T00:00:00Z"),
    (1_709_251_199, 120_000, "2024-02-29T23:59:59.000120Z"),
    (-62_135_596_800, 0, "0001-01-01T00:00:00Z"),
    (253_402_300_799, 999_999_999, "9999-12-31T23:59:59.999999999Z"),
    (0, -5, "1970-01-01T00:00:00Z"),
  ])
  func timestamps(_ seconds: Int64, _ nanos: Int32, _ expected: String) {
    let timestamp = GoogleProtobuf.Timestamp(seconds: seconds, nanos: nanos)
    #expect(timestamp.json() == .string(expected))
  }

  @Test func timesOutOfRangeNeverTrap() {
    for seconds in [Int64.min, .max] {
      for nanos in [Int32.min, .max] {
        _ = GoogleProtobuf.Timestamp(seconds: seconds, nanos: nanos).json()
        _ = GoogleProtobuf.Duration(seconds: seconds, nanos: nanos).json()
      }
    }
  }

  @Test(arguments: [
    (1, 500_000_000, "1.500s"), (0, 0, "0s"), (-1, -250_000_000, "-1.250s"),
    (0, -1_000, "-0.000001s"),
  ])
  func durations(_ seconds: Int64, _ nanos: Int32, _ expected: String) {
    #expect(GoogleProtobuf.Duration(seconds: seconds, nanos: nanos).json() == .string(expected))
  }

  @Test func fieldMasks() {
    let mask = GoogleProtobuf.FieldMask(paths: ["display_name", "configuration.feature_flags"])
    #expect(mask.json() == .string("displayName,configuration.featureFlags"))
  }

  @Test(arguments: [
    ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="),
  ])
  func bytesAreBase64(_ text: String, _ expected: String) {
    #expect(WireJSON.bytes(Array(text.utf8)) == .string(expected))
  }

  @Test func numbers() {
    let texts: [(Double, String)] = [
      (0, "0"), (-1, "-1"), (1.5, "1.5"), (9_007_199_254_740_992, "9007199254740992"),
      (1e21, "1e+21"), (.nan, "null"), (.infinity, "null"), (-.infinity, "null"),
    ]
    for (number, text) in texts { #expect(JSONValue.number(number).text() == text) }
    #expect(WireJSON.scalar(Double.nan) == .string("NaN"))
    #expect(WireJSON.scalar(-Float.infinity) == .string("-Infinity"))
  }

  @Test func stringsAreEscaped() {
    let text = JSONValue.string("\"\\\n\r\t\u{0}\u{1f}/é\u{7f}\r\n").text()
    #expect(text == "\"\\\"\\\\\\n\\r\\t\\u0000\\u001f/é\u{7f}\\r\\n\"")
  }

  @Test func compactAndPretty() {
    let value = JSONValue.object(["b": .array([.null, .object([:])]), "a": .array([])])
    #expect(value.text() == #"{"a":[],"b":[null,{}]}"#)
    #expect(value.text(pretty: true) == "{\n  \"a\": [],\n  \"b\": [\n    null,\n    {}\n  ]\n}")
  }
}
