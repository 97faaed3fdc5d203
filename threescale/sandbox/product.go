package sandbox

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// backendOf is the backend API that a metric called name.<id> belongs to; empty for the service's own.
func backendOf(m metric) string {
	at := strings.LastIndexByte(m.name, '.')
	if _, err := strconv.ParseInt(m.name[at+1:], 10, 64); at < 0 || err != nil {
		return ""
	}
	return m.name[at+1:]
}

func own(m metric) bool { return backendOf(m) == "" }

// usagesOf are the backend APIs a service uses, as its metrics name them.
func usagesOf(one *service) []object {
	usages, seen := []object{}, map[string]bool{}
	n, _ := one.number()
	for _, m := range one.metrics.metrics {
		id := backendOf(m)
		if m.deleted || id == "" || seen[id] {
			continue
		}
		seen[id] = true
		backend, _ := strconv.ParseInt(id, 10, 64)
		usages = append(usages, object{"backend_usage": object{"id": n*1000 + backend, "path": "/" + id, "service_id": n, "backend_id": backend}})
	}
	return usages
}

// backendMetrics answers with the metrics of a backend API.
func (s *Sandbox) backendMetrics(q *query) (any, error) {
	for _, one := range s.portalServices(q) {
		rows := metricsOf(one, func(m metric) bool { return backendOf(m) == q.path[1] })
		if len(rows) > 0 {
			return page(q, "metrics", rows, showMetric("metric")), nil
		}
	}
	return nil, notFound()
}

// metricsOf are some of a service's metrics and methods.
func metricsOf(one *service, which func(metric) bool) []metricRow {
	var rows []metricRow
	for i, m := range one.metrics.metrics {
		if !m.deleted && which(m) {
			rows = append(rows, metricRow{one, i})
		}
	}
	return rows
}

func (m metricRow) id() int64 {
	n, _ := strconv.ParseInt(metricID(m.service.id, m.index), 10, 64)
	return n
}

// brief is a metric as the Analytics API names it.
func (m metricRow) brief() object {
	name := m.service.metrics.metrics[m.index].name
	return object{"id": m.id(), "name": friendly(name), "system_name": name, "unit": "hit"}
}

func friendly(name string) string {
	return strings.ToUpper(name[:1]) + strings.ReplaceAll(name[1:], "_", " ")
}

func showMetric(noun string) func(metricRow) object {
	return func(m metricRow) object {
		one := m.service.metrics.metrics[m.index]
		row := object{"id": m.id(), "name": one.name, "system_name": one.name, "friendly_name": friendly(one.name), "unit": "hit"}
		if one.parent >= 0 {
			row["parent_id"] = metricRow{m.service, one.parent}.id()
		}
		return object{noun: row}
	}
}

// plansOf are the plans that a service's applications are on, by id.
func (s *Sandbox) plansOf(one *service) []*plan {
	all := slices.Clone(s.directory.portalPlans[one.id])
	for _, a := range s.directory.members[one.id].byID {
		if !slices.Contains(all, a.plan) {
			all = append(all, a.plan)
		}
	}
	slices.SortFunc(all, func(a, b *plan) int { return cmp.Compare(a.number, b.number) })
	return all
}

func showPlan(p *plan) object {
	return object{"application_plan": object{"id": p.number, "name": p.name, "system_name": strings.ToLower(p.name), "state": "published"}}
}

// planLimits answers with the limits of a plan. The plans of the fixtures are shared by services; metric ids
// are those of the first service that uses it.
func (s *Sandbox) planLimits(q *query) (any, error) {
	for _, one := range s.portalServices(q) {
		for _, p := range s.plansOf(one) {
			if strconv.FormatInt(p.number, 10) != q.path[1] {
				continue
			}
			there := slices.DeleteFunc(slices.Clone(p.limits), func(l limit) bool { return !one.metrics.has(l.metric) })
			return page(q, "limits", there, func(l limit) object {
				m := metricRow{one, l.metric}
				return object{"limit": object{"id": m.id()*10 + int64(l.period), "period": l.period.String(), "value": l.maximum,
					"metric_id": m.id(), "plan_id": p.number}}
			}), nil
		}
	}
	return nil, notFound()
}
