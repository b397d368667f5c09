// Genotypes as JSON: the text form, its schema, and files. Every error is one line that says where.

#include <algorithm>
#include <nlohmann/json.hpp>

#include "nas/genotype.h"
#include "tensor/check.h"
#include "tensor/files.h"
#include "tensor/json.h"
#include "tensor/text.h"

namespace serenade {

namespace {

using Json = nlohmann::ordered_json;

// Throws unless `object` is an object with exactly these keys, `optional` ones aside.
void check_keys(const Json& object, const std::string& source, const std::string& place,
                const std::vector<std::string>& required,
                const std::vector<std::string>& optional = {}) {
  check(object.is_object(), source.c_str(), place, "must be an object; got ", object.type_name());
  std::vector<std::string> known = required;
  known.insert(known.end(), optional.begin(), optional.end());
  for (const auto& [key, value] : object.items()) {
    check(std::find(known.begin(), known.end(), key) != known.end(), source.c_str(), place,
          "unknown key ", json_quoted(key), "; the nearest known one is '",
          nearest_word(key, known), "'");
  }
  for (const std::string& key : required) {
    check(object.contains(key), source.c_str(), place, "key '", key, "' is missing");
  }
}

std::string text_of(const Json& object, const std::string& key, const std::string& source,
                    const std::string& place) {
  const Json& value = object.at(key);
  check(value.is_string() && !value.get_ref<const std::string&>().empty(), source.c_str(), place,
        "key '", key, "' must be a text that is not empty; got ",
        value.is_string() ? "an empty one" : value.type_name());
  return value.get<std::string>();
}

}  // namespace

std::string genotype_schema() {
  return R"({
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "An architecture chosen from a search space",
  "type": "object",
  "required": ["schema", "system", "choices"],
  "additionalProperties": false,
  "properties": {
    "schema": {"const": "serenade-genotype-1"},
    "system": {"type": "string", "minLength": 1, "description": "the network the choices are for"},
    "space_hash": {
      "type": "string",
      "pattern": "^[0-9a-f]{16}$",
      "description": "of the search space it was chosen from; leave it out when writing by hand"
    },
    "choices": {
      "type": "array",
      "minItems": 1,
      "description": "one per layer of the space, in its order",
      "items": {
        "type": "object",
        "required": ["layer", "candidate"],
        "additionalProperties": false,
        "properties": {
          "layer": {"type": "string", "minLength": 1},
          "candidate": {"type": "string", "minLength": 1}
        }
      }
    }
  }
}
)";
}

std::string to_json(const Genotype& genotype) {
  Json json = {{"schema", kGenotypeSchema}, {"system", genotype.system}};
  if (!genotype.space_hash.empty()) json["space_hash"] = genotype.space_hash;
  json["choices"] = Json::array();
  for (const auto& [choice, candidate] : genotype.decisions) {
    json["choices"].push_back({{"layer", choice}, {"candidate", candidate}});
  }
  return json.dump(2) + "\n";
}

Genotype genotype_from_json(const std::string& text, const std::string& source) {
  const Json json = parse_json<Json>(text, source);
  check_keys(json, source, "", {"schema", "system", "choices"}, {"space_hash"});
  const std::string schema = text_of(json, "schema", source, "");
  check(schema == kGenotypeSchema, source.c_str(), "key 'schema' must be '", kGenotypeSchema,
        "'; got ", json_quoted(schema));

  Genotype genotype;
  genotype.system = text_of(json, "system", source, "");
  if (json.contains("space_hash")) {
    genotype.space_hash = text_of(json, "space_hash", source, "");
    const bool digits =
        genotype.space_hash.find_first_not_of("0123456789abcdef") == std::string::npos;
    check(genotype.space_hash.size() == 16 && digits, source.c_str(),
          "key 'space_hash' must be 16 hexadecimal digits; got ", json_quoted(genotype.space_hash));
  }
  const Json& choices = json.at("choices");
  check(choices.is_array() && !choices.empty(), source.c_str(),
        "key 'choices' must be a list that is not empty; got ",
        choices.is_array() ? "an empty one" : choices.type_name());
  for (std::size_t i = 0; i < choices.size(); ++i) {
    const std::string place = "choices[" + std::to_string(i) + "]: ";
    check_keys(choices[i], source, place, {"layer", "candidate"});
    genotype.decisions.push_back({text_of(choices[i], "layer", source, place),
                                  text_of(choices[i], "candidate", source, place)});
  }
  return genotype;
}

void write_genotype(const std::string& path, const Genotype& genotype) {
  write_file(path, to_json(genotype));
}

Genotype read_genotype(const std::string& path) {
  return genotype_from_json(read_file(path), path);
}

Genotype read_genotype(const std::string& path, const SearchSpace& space) {
  Genotype genotype = read_genotype(path);
  check_genotype(genotype, space, path);
  return genotype;
}

}  // namespace serenade
