package oo7

// compsPerCommit is how many composite parts are stored by one transaction.
const compsPerCommit = 100

// Generate fills an empty database.
func Generate(s Store, p *Plan) error {
	if err := s.Update(func(tx Tx) error {
		for _, m := range p.Modules {
			if err := tx.AddModule(m); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	for first := 1; first <= p.Comps(); first += compsPerCommit {
		if err := s.Update(func(tx Tx) error {
			for id := first; id < first+compsPerCommit && id <= p.Comps(); id++ {
				if err := tx.Insert(p.Composite(id), p.Uses(id)); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}
