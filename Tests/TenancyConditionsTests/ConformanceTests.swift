import Testing

@testable import TenancyConditions

@Suite struct ConformanceTests {
  /// Each line is `expression => value`, or `expression => error`.
  @Test(arguments: 0..<3) func vectors(part: Int) {
    let text = [conformanceVectors1, conformanceVectors2, conformanceVectors3][part]
    for line in text.split(separator: "\n") {
      guard let arrow = line.ranges(of: " => ").last else {
        Issue.record("no vector: \(line)")
        continue
      }
      let expression = line[..<arrow.lowerBound]
      let value = line[arrow.upperBound...]
      if value == "error" {
        let result = outcome("dyn(\(expression)) == dyn(null)")
        #expect(result != "true" && result != "false", "\(line)")
        continue
      }
      let result = outcome(
        "dyn(\(expression)) == dyn(\(value)) && type(\(expression)) == type(\(value))")
      #expect(result == "true", "\(line): \(result)")
    }
  }
}
