package api

// AccessFilterQuestion asks which rows of an application's own table somebody may
// do something to.
type AccessFilterQuestion struct {
	Subject           DecisionEntity         `json:"subject"`
	Action            string                 `json:"action" minLength:"1" maxLength:"1024"`
	ResourceType      string                 `json:"resource_type" minLength:"1" maxLength:"1024"`
	SubjectProperties map[string]any         `json:"subject_properties,omitempty"`
	ActionProperties  map[string]any         `json:"action_properties,omitempty"`
	Context           map[string]any         `json:"context,omitempty" doc:"Circumstances, such as acr, as a caller would send them."`
	Dialect           string                 `json:"dialect" enum:"postgresql,sqlite,mysql"`
	ID                TableColumn            `json:"id" doc:"The column that holds the resource's id."`
	Attributes        map[string]TableColumn `json:"attributes,omitempty" doc:"Columns by the attribute of the schema."`
	Parents           map[string]TableColumn `json:"parents,omitempty" doc:"Columns that hold the id of a parent, by its type."`
}

// TableColumn says where something lies in a table.
type TableColumn struct {
	Column string `json:"column" minLength:"1" maxLength:"200" doc:"A column, or schema, table or alias and column with dots between." example:"d.owner_id"`
	Type   string `json:"type,omitempty" enum:"text,integer,uuid,boolean,epoch_s,epoch_ms" doc:"Absent: what fits the schema."`
}

// AccessFilter is a condition on rows: exactly those of which a decision would say
// yes.
type AccessFilter struct {
	Decision   string        `json:"decision" enum:"all,none,some"`
	SQL        string        `json:"sql" doc:"Stands by itself behind WHERE or AND."`
	Parameters []any         `json:"parameters" nullable:"false" doc:"Values of the placeholders, in order. Whole numbers beyond 2^53 are strings."`
	Policies   []string      `json:"policies,omitempty" doc:"Ids of the policies that the condition comes from."`
	Reason     string        `json:"reason,omitempty" doc:"Why there is no such row."`
	StepUp     *AccessStepUp `json:"step_up,omitempty" doc:"When there is none: with such a sign-in there may be some."`
	Revision   string        `json:"revision,omitempty"`
	PolicyHash string        `json:"policy_hash,omitempty"`
}
